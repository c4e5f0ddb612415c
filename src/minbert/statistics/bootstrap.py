"""Rows drawn with replacement; seeds and rows drawn with replacement."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from minbert.statistics.estimate import LEVEL, Numbers
from minbert.statistics.two_way import Differences

Rng = np.random.Generator
DRAWS = 2000
"""How often rows are drawn: the ends of a 95 % interval then move by about a twentieth of its width."""

CELLS = 4_000_000
"""Draws times rows that are held at once."""


def row_counts(rows: int, draws: int, rng: Rng) -> Iterator[Numbers]:
    """How often each row was drawn, (some draws, rows), until there are as many draws as were asked for."""
    at_once = max(1, CELLS // rows)
    for begin in range(0, draws, at_once):
        yield _counts(rows, min(at_once, draws - begin), rng).astype(np.float64)


def _counts(things: int, draws: int, rng: Rng) -> npt.NDArray[np.int64]:
    """How often each of some things comes up when as many are drawn with replacement; (draws, things)."""
    places = rng.integers(things, size=(draws, things)) + np.arange(draws)[:, None] * things
    return np.bincount(places.ravel(), minlength=draws * things).reshape(draws, things)


def bootstrap_interval(found: Differences, rng: Rng) -> tuple[float, float]:
    """The percentile interval of a difference when rows, and of several seeds the seeds too, are drawn again.

    With one seed this is the paired bootstrap over rows. With few seeds it is too narrow (drawing from three gives two
    thirds of their variance), so it stands beside the decision and does not make it.

    Source: Efron 1979; Owen 2007 (two ways of drawing at once).
    """
    values = found.resampled.sum(axis=0)
    draws, seeds = values.shape
    weights = _counts(seeds, draws, rng) / seeds
    low, high = np.quantile((values * weights).sum(axis=1), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
