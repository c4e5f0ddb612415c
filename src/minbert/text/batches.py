"""`Batch`: what one forward pass gets; and which rows it holds, as a pure function of (seed, stage, epoch, task)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from minbert.randomness import generator
from minbert.text.packed import Packed, pack
from minbert.text.tokenizer import Tokenizer, TokenTable

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Forms:
    """In which forms a task's rows stand in a pack.

    Attributes:
        whole: the row as one sequence: its text, or its pair joined. What heads of one vector read.
        apart: each text of a pair as its own sequence. What heads of two vectors and losses on vectors read.
    """

    whole: bool
    apart: bool


@dataclass(frozen=True)
class Batch:
    """Rows of one task, ready for the encoder.

    Attributes:
        pack: all sequences: the whole forms of the rows, then their first texts, then their second texts.
        forms: which of these stand in the pack.
        labels: as the task's losses want them, (rows,), or None.
        rows: row numbers in the task's data.
        hashes: a number per text, (rows, texts): equal texts have equal numbers.
    """

    pack: Packed
    forms: Forms
    labels: Tensor | None
    rows: Rows
    hashes: Tensor

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on a device."""
        labels = None if self.labels is None else self.labels.to(device)
        return replace(self, pack=self.pack.to(device), labels=labels, hashes=self.hashes.to(device))


@dataclass(frozen=True)
class Texts:
    """The texts of a data set as ids, made once: one table per text column."""

    tables: tuple[TokenTable, ...]
    hashes: Tensor
    tokenizer: Tokenizer

    def __len__(self) -> int:
        return len(self.tables[0])

    def lengths(self) -> Rows:
        """Ids per row, all its texts together."""
        total: Rows = np.sum([table.lengths for table in self.tables], axis=0)
        return total

    def cuts(self, forms: Forms) -> int:
        """How many sequences are over the limit in these forms."""
        sides = [table.lengths.tolist() for table in self.tables]
        whole = sum(self.tokenizer.is_cut(*row) for row in zip(*sides, strict=True)) if forms.whole else 0
        apart = sum(self.tokenizer.is_cut(n) for side in sides for n in side) if forms.apart else 0
        return whole + apart

    def batch(self, rows: Rows, forms: Forms, labels: Tensor | None = None) -> Batch:
        """Packs the given rows in the given forms; `labels` are those of all rows."""
        chosen = torch.from_numpy(rows)
        labels = None if labels is None else labels[chosen]
        return Batch(self.packed(rows, forms), forms, labels, rows, self.hashes[chosen])

    def packed(self, rows: Rows, forms: Forms) -> Packed:
        """The given rows in the given forms as one pack."""
        sequences = []
        if forms.whole:
            sequences += [self.tokenizer.sequence(*(table[row] for table in self.tables)) for row in rows.tolist()]
        if forms.apart:
            sequences += [self.tokenizer.sequence(table[row]) for table in self.tables for row in rows.tolist()]
        return pack(sequences)


def texts_of(columns: Sequence[Sequence[str]], tokenizer: Tokenizer) -> Texts:
    """Tokenizes columns of texts; equal texts, in whatever column, get equal hashes."""
    numbers: dict[str, int] = {}
    hashes = [numbers.setdefault(text, len(numbers)) for row in zip(*columns, strict=True) for text in row]
    stacked = torch.from_numpy(np.array(hashes, dtype=np.int64).reshape(-1, len(columns)))
    return Texts(tuple(tokenizer.table(column) for column in columns), stacked, tokenizer)


def shuffled(pool: Rows, seed: int, *names: str | int) -> Rows:
    """The rows of `pool` in the random order that the names stand for."""
    order = torch.randperm(len(pool), generator=generator(seed, *names)).numpy()
    found: Rows = pool[order]
    return found


def epoch_rows(pool: Rows, samples: int, epoch: int, draw: str, seed: int, *names: str | int) -> Rows:
    """The rows of one epoch, in order.

    Args:
        pool: row numbers to draw from.
        samples: rows an epoch, 1 or more; more than the pool holds means further shuffled passes.
        epoch: 0, 1, 2, ...
        draw: `"stream"`: epochs go on through one endless sequence of shuffled passes, so rows come back only when
            all have been seen; `"once"`: one subset for the whole stage, shuffled anew each epoch.
        seed: the run's seed.
        names: the stage and the task.
    """
    if draw == "once" and samples < len(pool):
        subset = shuffled(pool, seed, *names, "subset")[:samples]
        return shuffled(subset, seed, *names, "epoch", epoch)
    start, stop = epoch * samples, (epoch + 1) * samples
    size = len(pool)
    passes = range(start // size, -(-stop // size))
    rows = np.concatenate([shuffled(pool, seed, *names, "pass", number) for number in passes])
    return rows[start - passes.start * size : stop - passes.start * size]
