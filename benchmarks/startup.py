"""How long a user waits before anything happens: `--help`, and a first prediction from a trained run."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.material import model, task
from benchmarks.race import Row
from minbert.checkpoint import save_model
from minbert.storage import write_folder

FIRST = """
import time, torch
begin = time.perf_counter()
import minbert
minbert.load({run!r}).predict("t", ["a fine film"])
print(time.perf_counter() - begin)
"""


def run(rounds: int = 7) -> list[Row]:
    """Each in a process of its own, with bytecode in place, as pip leaves it: a first round, not counted, writes it."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    helps, firsts = [], []
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "run"
        made = model({"t": task("sst")})
        write_folder(folder, lambda inner: save_model(inner, made))
        for _ in range(rounds + 1):
            begin = time.perf_counter()
            subprocess.run([sys.executable, "-m", "minbert", "--help"], check=True, capture_output=True, env=env)
            helps.append(time.perf_counter() - begin)
            first = [sys.executable, "-c", FIRST.format(run=str(folder))]
            told = subprocess.run(first, check=True, capture_output=True, text=True, env=env)
            firsts.append(float(told.stdout))
    del helps[0], firsts[0]
    return [
        Row("minbert --help", f"{statistics.median(helps):.2f} s", "asked: .5 s", 0.5 / statistics.median(helps), 1.0),
        Row(
            "load and first prediction, beyond importing torch",
            f"{statistics.median(firsts):.2f} s",
            "asked: .7 s",
            0.7 / statistics.median(firsts),
            1.0,
        ),
    ]
