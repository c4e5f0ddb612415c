"""`python -m benchmarks [NAME ...]`: runs the named parts, or all short ones."""

import json
import sys
import time
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

import torch

from benchmarks.material import source
from benchmarks.race import console, matrix_peak, show
from minbert.encoder.hardware import environment

SHORT = (
    "startup",
    "latency",
    "embedding",
    "throughput",
    "pairs",
    "training",
    "ranking",
    "surgery",
    "conflicts",
    "outside",
    "memory",
    "profile",
)
LONG = ("sizes", "fresh", "growth", "gpu")


def main(names: list[str]) -> None:
    """Runs parts one after the other and writes what they found to `benchmarks/results/NAME.json`."""
    unknown = [name for name in names if name not in (*SHORT, *LONG)]
    if unknown:
        sys.exit(f"benchmarks: expected {', '.join((*SHORT, *LONG))}, found {', '.join(unknown)}")
    about = environment(torch.device("cpu"), torch.bfloat16)
    about |= {
        "texts": source(),
        "matrix peak bf16": matrix_peak(torch.bfloat16),
        "matrix peak float32": matrix_peak(torch.float32),
    }
    console.print(
        f"{about['processor']}, {about['threads']} threads, torch {about['torch']}; large matrix product: "
        f"{about['matrix peak float32'] / 1e9:.0f} GFLOP/s float32, {about['matrix peak bf16'] / 1e9:.0f} bfloat16; "
        f"texts: {source()}"
    )
    folder = Path(__file__).parent / "results"
    folder.mkdir(exist_ok=True)
    for name in names or SHORT:
        begin = time.perf_counter()
        rows = import_module(f"benchmarks.{name}").run()
        show(f"{name} ({time.perf_counter() - begin:.0f} s)", rows)
        found = {"environment": about, "rows": [asdict(row) for row in rows]}
        (folder / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
