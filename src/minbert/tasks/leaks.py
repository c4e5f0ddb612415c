"""Dev rows whose answer train gives away.

*Exact*: the same text, or the same pair in either order, stands in train; case, spaces and
punctuation do not count. *Transitive*: train says that A = B and
B = C, and dev asks whether A = C.
"""

import re
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from minbert.tasks.clusters import Numbers, clusters

WORDS = re.compile(r"\w+")
Mask = npt.NDArray[np.bool_]
Columns = Sequence[Sequence[str]]


def plain(texts: Iterable[str]) -> list[str]:
    """The words alone of each text, in lower case; a text without words stays as it is."""
    return [" ".join(WORDS.findall(text.casefold())) or text for text in texts]


def plain_rows(columns: Columns) -> list[tuple[str, ...]]:
    """The rows as words alone."""
    return list(zip(*map(plain, columns), strict=True))


def exact(dev: Columns, train: Columns) -> Mask:
    """Dev rows whose text, or pair in either order, stands in train."""
    known = {frozenset(row) for row in plain_rows(train)}
    return np.array([frozenset(row) in known for row in plain_rows(dev)], dtype=bool)


def transitive(dev: Columns, dev_yes: Mask, train: Columns, train_yes: Mask) -> Mask:
    """Positive dev pairs that follow from the clusters of duplicates in train (exact ones included)."""
    numbers: dict[str, int] = {}
    ends, dev_ends = (
        np.array([[numbers.setdefault(text, len(numbers)) for text in row] for row in plain_rows(columns)])
        for columns in (train, dev)
    )
    return linked(dev_ends, dev_yes, ends[train_yes], len(numbers))


def linked(pairs: Numbers, yes: Mask, links: Numbers, size: int) -> Mask:
    """Positive pairs whose two texts hang together by links.

    Args:
        pairs: (rows, 2), numbers of texts.
        yes: which of them are positive.
        links: (rows, 2): train's positive pairs.
        size: how many texts are numbered.
    """
    links = links.reshape(-1, 2)
    cluster = clusters(links[:, 0], links[:, 1], size)
    known = np.zeros(size, dtype=bool)
    known[links] = True
    left, right = pairs.reshape(-1, 2).T
    found: Mask = yes & known[left] & known[right] & (cluster[left] == cluster[right])
    return found
