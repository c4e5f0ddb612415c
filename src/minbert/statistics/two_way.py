"""The test that decides: seeds and rows both vary."""

from dataclasses import dataclass, replace

import numpy as np

from minbert.statistics.estimate import Estimate, Numbers, t_estimate
from minbert.statistics.paired_t import paired_t


@dataclass(frozen=True)
class Differences:
    """One quantity of two arms, second minus first. The quantity is a sum over tasks, such as a mean of metrics.

    Attributes:
        seeds: the difference of each seed, on all rows; (S,).
        resampled: the tasks' parts of it on rows drawn with replacement, the same rows for both arms, and for all seeds
            that were scored on the same rows; (tasks, draws, S).
        rows: how many rows each task has; (tasks,).
    """

    seeds: Numbers
    resampled: Numbers
    rows: tuple[int, ...]


def two_way(found: Differences) -> Estimate:
    """The wider of two t intervals, with the larger of their p: over seeds and rows, and over seeds alone.

    Over seeds and rows: `V = V_seeds + V_rows - V_both`, at least the larger of the first two. `V_seeds = s_d^2 / S`.
    `V_rows` is the variance of the mean over seeds when rows are drawn again. `V_both`, what single seeds do on single
    rows, is in the first two alike; it follows from how far `V_rows` is below that of one seed:
    `(V_rows of one - V_rows) / (S - 1)`. Where each seed has rows of its own `V_both = V_rows`, so `V = V_seeds`.
    Degrees of freedom: `V^2 / (V_seeds^2 / (S - 1) + sum over tasks V_rows^2 / (rows - 1))`.
    With one seed `V = V_rows`: then nothing is known of what another seed would give.

    Args:
        found: one seed or more, two rows or more in each task.

    Raises:
        ValueError: a task with fewer than two rows.

    Source: Cameron, Gelbach and Miller 2011 (two-way clustering); Satterthwaite 1946 (degrees of freedom).
    Deviates: `V` has a floor, because the difference of three estimates may fall below what seeds or rows give alone.
    The variances over rows are a bootstrap's, so that any metric will do. And the interval over seeds alone must agree:
    two or three seeds that lie together by chance would make `V` too small and its degrees of freedom too many.
    """
    seeds = len(found.seeds)
    if min(found.rows) < 2:
        raise ValueError(f"expected two rows or more in each task, found {min(found.rows)}")
    rows = np.array(found.rows, dtype=np.float64)
    # A bootstrap's variance is too small by this factor, which few rows make visible.
    correction = rows / (rows - 1)
    by_task = found.resampled.mean(axis=2).var(axis=1) * correction
    v_rows, uncertain = float(by_task.sum()), float((by_task**2 / (rows - 1)).sum())
    mean = float(found.seeds.mean())
    if seeds == 1:
        return t_estimate(mean, v_rows, v_rows**2 / uncertain if uncertain else float(rows.sum()))
    alone = paired_t(found.seeds)
    single = float((found.resampled.var(axis=1).mean(axis=1) * correction).sum())
    v_seeds, v_both = alone.error**2, max(0.0, (single - v_rows) / (seeds - 1))
    variance = max(v_seeds + v_rows - v_both, v_seeds, v_rows)
    uncertain += v_seeds**2 / (seeds - 1)
    whole = t_estimate(mean, variance, variance**2 / uncertain if uncertain else float(seeds - 1))
    wider = max(whole, alone, key=lambda estimate: estimate.high)
    return replace(wider, p=max(whole.p, alone.p))
