"""Ctrl-C and SIGTERM while a run trains."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def interruptible(ask: Callable[[], bool], say: Callable[[str], None]) -> Iterator[None]:
    """Within, the first signal asks for a stop after the step in hand, and a second one stops at once.

    Args:
        ask: notes that a stop is asked for; says whether it had been before.
        say: tells the user.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # Not by the thread that hears the signal: it may be in the middle of writing a line, and then cannot begin another.
    telling = threading.Thread(target=say, args=("stopping after this step ...",))

    def stop(number: int, frame: object) -> None:
        if ask():
            raise KeyboardInterrupt
        telling.start()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if telling.ident:
            telling.join()
