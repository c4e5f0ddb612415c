"""How time and memory grow with rows, tasks and length."""

import json
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.material import loaded, model, rows_of, task
from benchmarks.race import Row, race, ratio
from minbert.encoder import Encoder, peak_memory
from minbert.encoder.hardware import keep_memory
from minbert.text.batches import Forms, texts_of
from minbert.text.packed import Packed, pack
from minbert.text.tokenizer import Tokens
from minbert.training.forward import at_once

TOKENS, ROWS = 8192, 256
"""Of a training pass, whatever the length of its sequences, or the number of its tasks."""

READ = """
import json, sys, time
from pathlib import Path
from minbert.encoder import peak_memory
from minbert.recipe import Recipe
from minbert.training.plan import StagePlan
from minbert.training.setup import set_up
begin = time.perf_counter()
setup = set_up(Recipe.load(Path(sys.argv[1])), None, "cpu")
read = time.perf_counter() - begin
begin = time.perf_counter()
plan = StagePlan("train", setup.recipe.stages["train"], setup.data, 0)
steps = plan.epoch(0)
took = time.perf_counter() - begin
print(json.dumps({"read": read, "plan": took, "steps": len(steps), "mib": peak_memory()}))
"""
RECIPE = """
[tasks.t]
kind = "yes_no"
text = ["a", "b"]
label = "same"
train = "rows.csv"
dev = 0.02
"""


def by_rows(counts: tuple[int, ...]) -> list[Row]:
    """Reading, tokenizing and planning an epoch, in a process of its own for each size."""
    rows, before = [], None
    for count in counts:
        with tempfile.TemporaryDirectory() as home:
            pairs = rows_of("quora", min(count, 200_000))
            with (Path(home) / "rows.csv").open("w", encoding="utf-8") as file:
                file.write("a,b,same\n")
                for number in range(count):
                    left, right = (text.replace('"', "'") for text in pairs[number % len(pairs)])
                    file.write(f'"{left} {number}","{right} {number}",{number % 2}\n')
            (Path(home) / "r.toml").write_text(RECIPE)
            begin = time.perf_counter()
            told = subprocess.run(
                [sys.executable, "-c", READ, f"{home}/r.toml"], check=True, capture_output=True, text=True
            )
            found = json.loads(told.stdout.splitlines()[-1])
            whole = time.perf_counter() - begin
        each = (found["read"] + found["plan"]) / count * 1e6
        rows.append(
            Row(
                f"{count:,} pairs: read, tokenize, plan",
                f"{each:.0f} us a row, {found['mib']:,.0f} MiB",
                f"{whole:.0f} s in all",
                2048 / found["mib"] if count >= 1_000_000 else None,
                1.0 if count >= 1_000_000 else None,
                "" if before is None else f"{each / before:.2f} times the time a row of the size before",
            )
        )
        before = each
    return rows


def by_tasks(counts: tuple[int, ...]) -> list[Row]:
    """A training pass over as many rows, shared out over more and more tasks; together, as in training."""
    rows_, found, base = rows_of("sst", ROWS), [], None
    for count in counts:
        made = model({f"t{i}": task("sst") for i in range(count)}).train()
        texts = texts_of(list(zip(*rows_, strict=True)), made.tokenizer)
        size = ROWS // count
        batches = [
            (f"t{i}", texts.batch(np.arange(i * size, (i + 1) * size), Forms(True, False))) for i in range(count)
        ]

        def step(made=made, batches=batches) -> None:  # type: ignore[no-untyped-def]
            for chosen in at_once([len(batch.pack.ids) for _, batch in batches]):
                together = batches[chosen]
                pooled = zip(together, made.pooled(together), strict=True)
                scores = [made.score(name, *vectors).scores for (name, _), vectors in pooled]
                torch.stack([part.square().mean() for part in scores]).sum().backward()

        (lap,) = race({"x": step}, 3)
        base = base or lap.median
        remark = f"{lap.median / base:.2f} times one task"
        found.append(Row(f"{count} tasks, {ROWS} rows in all", f"{lap.median:.2f} s", remark=remark))
    return found


def by_length(lengths: tuple[int, ...]) -> list[Row]:
    """A training pass over as many tokens in sequences of one length: peak memory, then time, lengths in turn."""
    encoder = loaded().encoder.train()
    encoder.precision = torch.bfloat16
    rng, works, peaks = np.random.default_rng(0), {}, []
    for length in lengths:
        sequences = [
            Tokens(rng.integers(1000, 20000, length), np.zeros(length, dtype=np.int64)) for _ in range(TOKENS // length)
        ]
        packed = pack(sequences)
        work = works[f"length {length}"] = partial(_pass, encoder, packed)
        work()
        peaks.append(peak_memory())
    laps = race(works, 5)
    width, least = encoder.config.hidden_size, lengths[0]
    # A layer takes 24 width^2 operations a token, and attention 4 width for each other token of its sequence.
    work_of = {length: 6 * width + length for length in lengths}
    return [
        Row(
            f"{lap.name}, {TOKENS:,} tokens",
            f"{TOKENS / lap.median:,.0f} tokens/s",
            remark=f"{ratio(lap, laps[0]):.2f} times {laps[0].name}, by its operations "
            f"{work_of[length] / work_of[least]:.2f}; peak so far {peak:,.0f} MiB",
        )
        for length, lap, peak in zip(lengths, laps, peaks, strict=True)
    ]


def _pass(encoder: Encoder, packed: Packed) -> None:
    encoder.vectors(packed, "mean").square().sum().backward()


def run(
    rows: tuple[int, ...] = (1000, 10_000, 100_000, 1_000_000),
    tasks: tuple[int, ...] = (1, 2, 4, 8, 16),
    lengths: tuple[int, ...] = (8, 16, 32, 64, 128, 256, 512),
) -> list[Row]:
    """All three; freed memory is kept, as it is while a run trains."""
    # First, since the peak memory of a process begins at what its parent holds.
    read = by_rows(rows)
    keep_memory()
    return by_length(lengths) + by_tasks(tasks) + read
