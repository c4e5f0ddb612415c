"""Training by the length of texts, against transformers, and by the rows of a batch, against the matrix peak."""

import torch

from benchmarks.material import need, rows_of
from benchmarks.race import Row, against, console, race
from benchmarks.throughput import texts
from benchmarks.training import Ours, Theirs, Work, share
from minbert.encoder.hardware import keep_memory

LENGTHS, TOKENS, BATCHES = (16, 64, 256, 512), 4096, 2
SIZES, ROWS = (32, 128, 512), 512


def by_length(length: int, rounds: int) -> list[Row]:
    """Texts of one length, so that nobody has to pad; as many of them as make 4,096 tokens a batch."""
    batch = TOKENS // length
    count = batch * BATCHES
    labels = torch.randint(5, (count,), generator=torch.Generator().manual_seed(0))
    work = Work("sst", False, [(text,) for text in texts(count, length)], labels, batch, length)
    works = {"minbert": Ours(work), "transformers": Theirs(work, False), "transformers, bf16": Theirs(work, True)}
    name = f"train on texts of {length} tokens, batch {batch}"
    return against(name, race(works, rounds), "tokens", count * length)


def by_batch(size: int, rounds: int) -> Row:
    """Sentences of SST, so many rows a batch."""
    labels = torch.randint(5, (ROWS,), generator=torch.Generator().manual_seed(0))
    mine = Ours(Work("sst", False, rows_of("sst", ROWS), labels, size))
    (lap,) = race({"x": mine}, rounds, warm=2)
    found = share(f"sst, batch {size}", mine, mine.model.encoder, mine.tokens)
    found.remark += f"; {ROWS / lap.median:,.0f} rows/s"
    return found


def run(rounds: int = 3) -> list[Row]:
    """Both; freed memory is kept, as in `minbert.train`, for the peers too."""
    need("transformers")
    keep_memory()
    rows = []
    for length in LENGTHS:
        rows += by_length(length, rounds)
        console.print(", ".join(f"{row.work}: {row.ratio:.2f}" for row in rows[-2:]))
    return rows + [by_batch(size, rounds) for size in SIZES]
