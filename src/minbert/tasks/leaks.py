"""Dev rows whose answer train gives away.

*Exact*: the same text, or the same pair in either order, stands in train; case, spaces and
punctuation do not count. *Transitive*: train says that A = B and
B = C, and dev asks whether A = C.
"""

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from minbert.tasks.clusters import clusters

WORDS = re.compile(r"\w+")
Mask = npt.NDArray[np.bool_]
Columns = Sequence[Sequence[str]]


def plain_rows(columns: Columns) -> list[tuple[str, ...]]:
    """The rows as words alone, in lower case; a text without words stays as it is."""
    plain = [[" ".join(WORDS.findall(text.casefold())) or text for text in column] for column in columns]
    return list(zip(*plain, strict=True))


def exact(dev: Columns, train: Columns) -> Mask:
    """Dev rows whose text, or pair in either order, stands in train."""
    known = {frozenset(row) for row in plain_rows(train)}
    return np.array([frozenset(row) in known for row in plain_rows(dev)], dtype=bool)


def transitive(dev: Columns, dev_yes: Mask, train: Columns, train_yes: Mask) -> Mask:
    """Positive dev pairs that follow from the clusters of duplicates in train (exact ones included)."""
    numbers: dict[str, int] = {}
    pairs = [row for row, yes in zip(plain_rows(train), train_yes, strict=True) if yes]
    ends = np.array([[numbers.setdefault(text, len(numbers)) for text in row] for row in pairs], dtype=np.int64)
    ends = ends.reshape(-1, 2)
    cluster = clusters(ends[:, 0], ends[:, 1], len(numbers))

    def follows(a: str, b: str) -> bool:
        return a in numbers and b in numbers and bool(cluster[numbers[a]] == cluster[numbers[b]])

    found: Mask = dev_yes & np.array([follows(*row) for row in plain_rows(dev)], dtype=bool)
    return found
