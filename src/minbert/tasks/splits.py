"""Held-out shares, taken by connected component of equal texts, never by row.

By row, a third of the held-out Quora pairs would share a question with train; by component none does.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from torch import Tensor

from minbert.tasks.clusters import clusters
from minbert.text.batches import shuffled

Mask = npt.NDArray[np.bool_]


def components(columns: Sequence[Sequence[str]]) -> npt.NDArray[np.int64]:
    """A number per row; rows that share a text, directly or through other rows, have the same number."""
    rows = len(columns[0])
    numbers: dict[str, int] = {}
    texts = np.array([[numbers.setdefault(text, len(numbers)) for text in column] for column in columns])
    ends = texts.reshape(-1) + rows
    starts = np.tile(np.arange(rows), len(columns))
    size = rows + len(numbers)
    return clusters(starts, ends, size)[:rows]


def strata_of(labels: Tensor, bins: int = 5) -> npt.NDArray[np.int64]:
    """A stratum per row: the class, or which fifth of the ratings it is in."""
    values = labels.numpy()
    distinct = np.unique(values)
    if np.issubdtype(values.dtype, np.integer) or len(distinct) <= bins:
        return np.searchsorted(distinct, values).astype(np.int64)
    return np.searchsorted(np.quantile(values, np.arange(1, bins) / bins), values).astype(np.int64)


def hold_out(
    columns: Sequence[Sequence[str]], labels: Tensor, share: float, seed: int, *names: str
) -> tuple[Mask, float]:
    """Chooses rows to hold out: whole components, at random, until every class has its share.

    Args:
        columns: the texts, one or two per row.
        labels: the labels; the class share is kept.
        share: of the rows, above 0 and below 1.
        seed: the run's seed.
        names: the task and what the share is for.

    Returns:
        Which rows are held out, and their share; it is under `share` where components are too large to move.
    """
    member, strata = components(columns), strata_of(labels)
    quota = np.round(np.bincount(strata) * share).astype(np.int64)
    quota[(quota == 0) & (np.bincount(strata) > 1)] = 1
    order = np.argsort(member, kind="stable")
    blocks = np.split(order, np.flatnonzero(np.diff(member[order])) + 1)
    held = np.zeros(len(labels), dtype=bool)
    for number in shuffled(np.arange(len(blocks)), seed, *names, "hold out"):
        block = blocks[number]
        wanted = np.bincount(strata[block], minlength=len(quota))
        if (wanted <= quota).all():
            quota -= wanted
            held[block] = True
    return held, float(held.mean())
