"""The splits of all tasks with their texts numbered: texts of the same words have one number, in whatever task."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from minbert.tasks import Split, Task, TaskData
from minbert.tasks.clusters import Numbers
from minbert.tasks.leaks import plain

AGREE = 0.1
"""Ratings of equal rows agree if they are no further apart than this share of the range: they are means over people."""


@dataclass(frozen=True)
class Part:
    """A split of a task.

    Attributes:
        task: its name.
        split: `train`, `dev`, `select` or `test`.
        spec: the task itself.
        rows: texts, labels and places.
        texts: (rows, columns): the number of each text.
        keys: (rows,): rows with the same texts, in either order, have one key, in whatever task.
    """

    task: str
    split: str
    spec: Task
    rows: Split
    texts: Numbers
    keys: Numbers

    @property
    def title(self) -> str:
        """Task and split."""
        return f"{self.task} {self.split}"

    @property
    def says_yes(self) -> bool:
        """Whether its positive rows say that two texts mean the same, from which more follows."""
        return self.spec.kind == "yes_no" and self.spec.is_pair

    def groups(self) -> list[Numbers]:
        """Rows that are equal, by group of two or more, in the order of their first rows.

        The order within a pair counts for classes only: that one text entails another says nothing of the reverse.
        """
        keys = self.keys
        if self.spec.kind == "classes" and self.spec.is_pair:
            keys = np.unique(self.texts, axis=0, return_inverse=True)[1].reshape(-1)
        order = np.argsort(keys, kind="stable")
        blocks = np.split(order, np.flatnonzero(np.diff(keys[order])) + 1)
        return sorted((block for block in blocks if len(block) > 1), key=lambda block: int(block[0]))

    def agree(self, rows: Numbers) -> bool:
        """Whether the labels of equal rows agree."""
        labels = self.rows.labels.numpy()[rows]
        low, high = self.spec.bounds
        apart = float(labels.max() - labels.min())
        return apart <= AGREE * (high - low) if self.spec.kind == "rating" else apart == 0

    def label(self, row: int) -> str:
        """A row's label as a reader knows it."""
        return self.label_of(float(self.rows.labels[row]))

    def label_of(self, value: float) -> str:
        """A label's number as a reader knows it."""
        names = getattr(self.spec, "labels", ()) or ("no", "yes")
        return f"{value:g}" if self.spec.kind == "rating" else str(names[int(value)])


def parts_of(tasks: Mapping[str, TaskData]) -> tuple[list[Part], list[str]]:
    """Every split of every task, and the numbered texts as words alone."""
    splits = {(name, split): rows for name, data in tasks.items() for split, rows in data.splits.items()}
    raw = list(dict.fromkeys(text for rows in splits.values() for column in rows.columns for text in column))
    numbers: dict[str, int] = {}
    known = {text: numbers.setdefault(words, len(numbers)) for text, words in zip(raw, plain(raw), strict=True)}
    numbered = {
        key: np.array([[known[text] for text in column] for column in rows.columns], dtype=np.int64).T
        for key, rows in splits.items()
    }
    parts = [
        Part(name, split, tasks[name].task, splits[name, split], texts, _keys(texts, len(numbers)))
        for (name, split), texts in numbered.items()
    ]
    return parts, list(numbers)


def _keys(texts: Numbers, size: int) -> Numbers:
    """One number per row; single texts have negative ones, so that they never equal a pair."""
    keys: Numbers = -1 - texts[:, 0] if texts.shape[1] == 1 else texts.min(1) * size + texts.max(1)
    return keys
