"""The test that decides: seeds and rows both vary."""

from dataclasses import dataclass

import numpy as np

from minbert.statistics.estimate import Estimate, Numbers, t_estimate


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
    """A t interval on the variance between seeds plus that between rows.

    `V = V_seeds + V_rows - V_both`, at least the larger of the first two. `V_seeds = s_d^2 / S`. `V_rows` is the
    variance of the mean over seeds when rows are drawn again. `V_both`, what single seeds do on single rows, is in the
    first two alike; it follows from how far `V_rows` is below that of one seed: `(V_rows of one - V_rows) / (S - 1)`.
    Where each seed has rows of its own `V_both = V_rows`, so `V = V_seeds`.
    Degrees of freedom: `V^2 / (V_seeds^2 / (S - 1) + sum over tasks V_rows^2 / (rows - 1))`.
    With one seed `V = V_rows`: then nothing is known of what another seed would give.

    Args:
        found: one seed or more, two rows or more in each task.

    Raises:
        ValueError: a task with fewer than two rows.

    Source: Cameron, Gelbach and Miller 2011, eq. 2.4 (two-way clustering); Satterthwaite 1946 (degrees of freedom).
    Deviates: `V` has a floor, because the difference of three estimates may fall below what seeds or rows give alone;
    the variances over rows are a bootstrap's, so that any metric will do.
    """
    seeds = len(found.seeds)
    if min(found.rows) < 2:
        raise ValueError(f"expected two rows or more in each task, found {min(found.rows)}")
    rows = np.array(found.rows, dtype=np.float64)
    # A bootstrap's variance is too small by this factor, which few rows make visible.
    correction = rows / (rows - 1)
    by_task = found.resampled.mean(axis=2).var(axis=1) * correction
    v_rows = float(by_task.sum())
    uncertain = float((by_task**2 / (rows - 1)).sum())
    v_seeds, v_both = 0.0, 0.0
    if seeds > 1:
        v_seeds = float(found.seeds.var(ddof=1)) / seeds
        single = float((found.resampled.var(axis=1).mean(axis=1) * correction).sum())
        v_both = max(0.0, (single - v_rows) / (seeds - 1))
        uncertain += v_seeds**2 / (seeds - 1)
    variance = max(v_seeds + v_rows - v_both, v_seeds, v_rows)
    df = variance**2 / uncertain if uncertain else float(rows.sum() - len(rows))
    return t_estimate(float(found.seeds.mean()), variance, df)
