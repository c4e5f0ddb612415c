"""How long a user waits before anything happens: `--help`, and a first prediction from a trained run."""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.material import model, task
from benchmarks.race import Row
from minbert.model import save_model
from minbert.storage import write_folder

FIRST = """
import time, torch
begin = time.perf_counter()
import minbert
minbert.load({run!r}).predict("t", ["a fine film"])
print(time.perf_counter() - begin)
"""


def run(rounds: int = 7) -> list[Row]:
    """Each in a process of its own."""
    helps, firsts = [], []
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "run"
        made = model({"t": task("sst")})
        write_folder(folder, lambda inner: save_model(inner, made))
        for _ in range(rounds):
            begin = time.perf_counter()
            subprocess.run([sys.executable, "-m", "minbert", "--help"], check=True, capture_output=True)
            helps.append(time.perf_counter() - begin)
            told = subprocess.run(
                [sys.executable, "-c", FIRST.format(run=str(folder))], check=True, capture_output=True, text=True
            )
            firsts.append(float(told.stdout))
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
