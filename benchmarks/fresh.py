"""Batches that come once, as in an epoch: other races see the same few again, whose sizes everybody knows by then."""

from collections.abc import Callable
from itertools import islice
from typing import Any

import torch

from benchmarks.material import need, rows_of
from benchmarks.race import Row, against, console, race
from benchmarks.training import BATCH, Ours, Theirs, Work
from minbert.encoder.hardware import keep_memory

BATCHES = 16
"""Of one lap. The peer's best form sorts the rows of a lap by length."""


def in_portions(contender: Any, batches: str) -> Callable[[], None]:
    """Trains on the next batches of a contender at each call."""
    coming = iter(getattr(contender, batches))

    def lap() -> None:
        setattr(contender, batches, list(islice(coming, BATCHES)))
        contender()

    return lap


def run(rounds: int = 3) -> list[Row]:
    """Sentences, and pairs read jointly; freed memory is kept, as in `minbert.train`, for the peers too."""
    need("transformers")
    keep_memory()
    rows: list[Row] = []
    for kind, classes in (("sst", 5), ("quora", 2)):
        lap = BATCH * BATCHES
        labels = torch.randint(classes, (lap * (rounds + 1),), generator=torch.Generator().manual_seed(0))
        work = Work(kind, False, rows_of(kind, len(labels)), labels, BATCH)
        works = {
            "minbert": in_portions(Ours(work), "slots"),
            "transformers": in_portions(Theirs(work, False), "batches"),
            "transformers, bf16, sorted": in_portions(Theirs(work, True, lap), "batches"),
        }
        rows += against(f"train {work.name}, batches that come once", race(works, rounds), "rows", lap)
        console.print(", ".join(f"{row.ratio:.2f}" for row in rows[-2:]))
    return rows
