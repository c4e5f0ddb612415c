"""Metrics on many drawings of rows at once: a row that was drawn twice counts twice."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from minbert.metrics import Metric
from minbert.statistics.estimate import Numbers

Answers = npt.NDArray[np.generic]


def accuracy(labels: Answers, answers: Answers, counts: Numbers) -> Numbers:
    """The share of right rows."""
    right = (answers == labels[:, None]).astype(np.float64)
    found: Numbers = (counts @ right) / counts.sum(axis=1, keepdims=True)
    return found


def f1(labels: Answers, answers: Answers, counts: Numbers) -> Numbers:
    """F1 of class 1; 0 where it is neither labelled nor answered."""
    hits, either = _hits(labels, answers, counts, 1)
    return 2 * hits / np.maximum(either, 1)


def macro_f1(labels: Answers, answers: Answers, counts: Numbers) -> Numbers:
    """The mean over the classes that were drawn, as a label or as an answer."""
    total = np.zeros((len(counts), answers.shape[1]))
    classes = np.zeros_like(total)
    for label in np.union1d(labels, answers):
        hits, either = _hits(labels, answers, counts, label)
        total += 2 * hits / np.maximum(either, 1)
        classes += either > 0
    return total / classes


def _hits(labels: Answers, answers: Answers, counts: Numbers, label: object) -> tuple[Numbers, Numbers]:
    """Rows rightly answered with a class; rows of that label plus rows of that answer."""
    true, said = (labels[:, None] == label).astype(np.float64), (answers == label).astype(np.float64)
    return counts @ (true * said), counts @ true + counts @ said


def pearson(labels: Answers, answers: Answers, counts: Numbers) -> Numbers:
    """Pearson's correlation; 0 where one side is constant."""
    # Around the mean of all rows: far from 0, sums of squares would lose their digits.
    x = (labels - labels.mean())[:, None].astype(np.float64)
    y = (answers - answers.mean(axis=0)).astype(np.float64)
    return _correlation(counts, x, y, lambda values: counts @ values)


def spearman(labels: Answers, answers: Answers, counts: Numbers) -> Numbers:
    """Spearman's correlation, by the ranks that the drawn rows have among themselves; 0 where one side is constant."""
    x = _ranks(labels, counts)
    columns = []
    for column in answers.T:
        y = _ranks(column, counts)
        columns.append(_correlation(counts, x, y, lambda values: (counts * values).sum(axis=1, keepdims=True))[:, 0])
    return np.stack(columns, axis=1)


def _ranks(values: Answers, counts: Numbers) -> Numbers:
    """The mid-rank of each row in each drawing, from the middle; (draws, rows)."""
    _, first, place = np.unique(np.sort(values), return_index=True, return_inverse=True)
    order = np.argsort(values, kind="stable")
    drawn = np.add.reduceat(counts.T[order], first, axis=0)
    below = np.cumsum(drawn, axis=0) - drawn
    ranks = np.empty_like(counts.T)
    ranks[order] = (below + drawn / 2)[place] - len(values) / 2
    return ranks.T


def _correlation(counts: Numbers, x: Numbers, y: Numbers, total: Callable[[Numbers], Numbers]) -> Numbers:
    n = counts.sum(axis=1, keepdims=True)
    mean_x, mean_y = total(x) / n, total(y) / n
    shared = total(x * y) / n - mean_x * mean_y
    spread_x, spread_y = total(x * x) / n - mean_x**2, total(y * y) / n - mean_y**2
    # Rounding leaves a constant a spread of about 1e-16 of its square.
    constant = (spread_x <= 1e-13 * np.abs(x).max() ** 2) | (spread_y <= 1e-13 * np.abs(y).max() ** 2)
    found: Numbers = np.where(constant, 0.0, shared / np.sqrt(np.where(constant, 1.0, spread_x * spread_y)))
    return found


RESAMPLED: dict[Metric, Callable[[Answers, Answers, Numbers], Numbers]] = {
    "accuracy": accuracy,
    "f1": f1,
    "macro_f1": macro_f1,
    "pearson": pearson,
    "spearman": spearman,
}
"""Each metric of `minbert.metrics`: labels (rows,), answers (rows, runs), counts (draws, rows) to (draws, runs)."""
