"""A signal is answered whatever it interrupts."""

import signal
import subprocess
import sys

PROGRAM = """
import os, signal, threading
from minbert.training.interruption import interruptible

asked, lock = [], threading.Lock()

def ask():
    asked.append(True)
    return len(asked) > 1

def say(text):
    # Like a stream, it cannot be entered again by the one that is within.
    with lock:
        print(text, flush=True)

with interruptible(ask, say):
    with lock:
        os.kill(os.getpid(), signal.SIGINT)
        while not asked:
            pass
        print("the line is whole", flush=True)
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        while True:
            pass
    except KeyboardInterrupt:
        print("at once", flush=True)
print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""


def test_in_the_middle_of_a_line_and_a_second_time() -> None:
    child = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True)
    lines = child.stdout.splitlines()
    assert lines[0] == "the line is whole" and lines[-1] == "True"
    assert sorted(lines[1:3]) == ["at once", "stopping after this step ..."]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
