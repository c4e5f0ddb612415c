"""Texts that are nearly equal, found exactly and without comparing each with each.

Two texts are near if the sets of their shingles (runs of five characters) have a Jaccard similarity of at least a
threshold. Shingles are ordered from rare to frequent; two sets as similar as that must share one of their
first `n - ceil(threshold * n) + 1`, so only texts that share a rare shingle are compared at all.

Source: Broder 1997 (shingles); Bayardo, Ma, Srikant 2007 and Xiao et al. 2008 (prefix filter): nothing is missed.
Deviates: shingles are hashed to 30 bits; that two of one pair of texts fall together is as rare as one in 100,000.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import HashingVectorizer

from minbert.tasks.clusters import Numbers

SHINGLE = 5
"""Characters in a shingle."""
BUCKETS = 1 << 30
CANDIDATES = 5_000_000
"""Shared rare shingles that are held at once, so that memory stays bounded."""
COMPARED = 100_000
"""Pairs of texts that are compared at once."""

Advance = Callable[[int], None]


def near_texts(
    texts: Sequence[str], left: Numbers, right: Numbers, threshold: float, advance: Advance = lambda count: None
) -> tuple[Numbers, Numbers]:
    """Pairs of different texts, one of each side, whose Jaccard similarity reaches the threshold.

    Args:
        texts: each once, as words alone.
        left: numbers of texts.
        right: numbers of texts.
        threshold: above 0, to 1.
        advance: hears how many texts of `left` are done.

    Returns:
        Their numbers, of the left texts and of the right ones.
    """
    shingles = shingles_of(texts)
    sizes, rare = np.diff(shingles.indptr), _prefixes(shingles, threshold)
    of_left, of_right = rare[left], rare[right].T.tocsr()
    found: list[tuple[Numbers, Numbers]] = [(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))]
    for block in _blocks(of_left, of_right):
        shared = (of_left[block] @ of_right).tocoo()
        i, j = left[block.start + shared.row], right[shared.col]
        # The smaller set can at most be the whole of what is shared, the larger one all there is.
        alike = (sizes[i] >= threshold * sizes[j] - 1e-9) & (sizes[j] >= threshold * sizes[i] - 1e-9)
        i, j = i[alike], j[alike]
        for start in range(0, len(i), COMPARED):
            one, other = i[start : start + COMPARED], j[start : start + COMPARED]
            near = (similarity(shingles, one, other) >= threshold - 1e-9) & (one != other)
            found.append((one[near], other[near]))
        advance(block.stop - block.start)
    return np.concatenate([i for i, _ in found]), np.concatenate([j for _, j in found])


def shingles_of(texts: Sequence[str]) -> Any:
    """The shingles of each text, with a space at either end: a sparse matrix of ones, rare shingles first."""
    hashed = HashingVectorizer(
        analyzer="char", ngram_range=(SHINGLE, SHINGLE), lowercase=False, n_features=BUCKETS,
        binary=True, norm=None, alternate_sign=False, dtype=np.float32,
    )  # fmt: skip
    found = hashed.transform([f" {text} " for text in texts])
    _, number, often = np.unique(found.indices, return_inverse=True, return_counts=True)
    rank = np.empty(len(often), dtype=np.int64)
    rank[np.argsort(often, kind="stable")] = np.arange(len(rank))
    ranked = csr_matrix((found.data, rank[number], found.indptr), shape=(len(texts), max(1, len(rank))))
    ranked.sort_indices()
    return ranked


def similarity(shingles: Any, left: Numbers, right: Numbers) -> npt.NDArray[np.float64]:
    """The Jaccard similarity of texts side by side: shared shingles over all shingles of the two."""
    sizes = np.diff(shingles.indptr)
    shared = np.asarray(shingles[left].multiply(shingles[right]).sum(axis=1), dtype=np.float64).reshape(-1)
    found: npt.NDArray[np.float64] = shared / np.maximum(sizes[left] + sizes[right] - shared, 1)
    return found


def _prefixes(shingles: Any, threshold: float) -> Any:
    """Of each text the rarest shingles, one of which every near text must share."""
    sizes = np.diff(shingles.indptr)
    row = np.repeat(np.arange(len(sizes)), sizes)
    place = np.arange(len(row)) - shingles.indptr[row]
    kept = place < (sizes - np.ceil(threshold * sizes - 1e-9) + 1)[row]
    starts = np.concatenate([[0], np.cumsum(np.bincount(row[kept], minlength=len(sizes)))])
    return csr_matrix((shingles.data[kept], shingles.indices[kept], starts), shape=shingles.shape)


def _blocks(left: Any, right: Any) -> Iterator[slice]:
    """Blocks of left texts that have no more than so many shared shingles with the right ones, or of one text."""
    frequency = np.diff(right.indptr)
    work = np.concatenate([[0], np.cumsum(frequency[left.indices])])[left.indptr]
    start = 0
    while start < left.shape[0]:
        stop = int(np.searchsorted(work, work[start] + CANDIDATES, side="right")) - 1
        stop = min(max(stop, start + 1), left.shape[0])
        yield slice(start, stop)
        start = stop
