"""Dev rows whose answer train gives away.

*Exact*: the same text, or the same pair in either order, stands in train. *Transitive*: train says that A = B and
B = C, and dev asks whether A = C.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

Mask = npt.NDArray[np.bool_]
Columns = Sequence[Sequence[str]]


def exact(dev: Columns, train: Columns) -> Mask:
    """Dev rows whose text, or pair in either order, stands in train."""
    known = {frozenset(row) for row in zip(*train, strict=True)}
    return np.array([frozenset(row) in known for row in zip(*dev, strict=True)], dtype=bool)


def transitive(dev: Columns, dev_yes: Mask, train: Columns, train_yes: Mask) -> Mask:
    """Positive dev pairs that follow from the clusters of duplicates in train (exact ones included)."""
    numbers: dict[str, int] = {}
    pairs = [row for row, yes in zip(zip(*train, strict=True), train_yes, strict=True) if yes]
    ends = np.array([[numbers.setdefault(text, len(numbers)) for text in row] for row in pairs]).reshape(-1, 2)
    size = len(numbers)
    graph = coo_matrix((np.ones(len(ends), dtype=np.int8), (ends[:, 0], ends[:, 1])), shape=(size, size))
    cluster = connected_components(graph, directed=False)[1]

    def follows(a: str, b: str) -> bool:
        return a in numbers and b in numbers and bool(cluster[numbers[a]] == cluster[numbers[b]])

    found: Mask = dev_yes & np.array([follows(*row) for row in zip(*dev, strict=True)], dtype=bool)
    return found
