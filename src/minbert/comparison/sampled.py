"""Every run's score on every task, on all rows and on rows drawn again."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from minbert.comparison.arms import Arm
from minbert.comparison.finished import FinishedRun, Rows
from minbert.metrics import METRICS, Metric
from minbert.statistics import DRAWS, RESAMPLED, row_counts
from minbert.tasks import Classes, Task

Advance = Callable[[int], None]
Key = tuple[Any, ...]
"""What runs must have in common on a task to be compared: the rows, what a label means, the metric."""


@dataclass(frozen=True)
class Sampled:
    """A run on a task.

    Attributes:
        key: the same for runs that can be compared; their rows were drawn together.
        metric: the task's own.
        by: what gave the scores: `head` or `embedding`.
        rows: how many count.
        score: on all of them.
        draws: the score on each drawing of rows, (draws,).
        right: rows with the right answer; none for a rating.
    """

    key: Key
    metric: Metric
    by: str
    rows: int
    score: float
    draws: npt.NDArray[np.float64]
    right: npt.NDArray[np.bool_] | None


Table = dict[tuple[str, int], dict[str, Sampled]]
"""By arm and seed, then by task."""


def sample_runs(arms: Sequence[Arm], without_leaks: bool, advance: Advance, draws: int = DRAWS) -> Table:
    """Scores all runs. Rows are drawn once for all runs that were scored on the same ones.

    Args:
        arms: with their finished runs.
        without_leaks: leave out rows that train gives away in any of the runs.
        advance: hears the draws times rows that are done; in all as many as `draws_of` says.
        draws: how often rows are drawn.
    """
    table: Table = {(arm.name, seed): {} for arm in arms for seed in arm.runs}
    for (task, number), members in _groups(arms).items():
        runs = {place: run for place, run in members}
        first = next(iter(runs.values()))
        rows = [run.rows[task] for run in runs.values()]
        keep = ~np.any([part.leaked for part in rows], axis=0) if without_leaks else np.ones(len(rows[0].labels), bool)
        if keep.sum() < 2:
            advance(draws * len(keep))
            continue
        found = _scores(first.tasks[task], task, rows, keep, advance, draws)
        key = (number, *_key(first, task))
        for place, (score, drawn, right) in zip(runs, found, strict=True):
            by = runs[place].result["tasks"][task].get("scored_by", "head")
            table[place][task] = Sampled(key, first.tasks[task].scored_by, by, int(keep.sum()), score, drawn, right)
    return table


def draws_of(arms: Sequence[Arm], draws: int = DRAWS) -> int:
    """The draws times rows of all groups of runs."""
    return sum(draws * len(members[0][1].rows[task].labels) for (task, _), members in _groups(arms).items())


def _groups(arms: Sequence[Arm]) -> dict[tuple[str, int], list[tuple[tuple[str, int], FinishedRun]]]:
    """By task and a number, the runs that can be compared on it."""
    numbers: dict[Key, int] = {}
    groups: dict[tuple[str, int], list[tuple[tuple[str, int], FinishedRun]]] = {}
    for arm in arms:
        for seed, run in arm.runs.items():
            for task in run.rows:
                number = numbers.setdefault((task, *_key(run, task)), len(numbers))
                groups.setdefault((task, number), []).append(((arm.name, seed), run))
    return groups


def _key(run: FinishedRun, task: str) -> Key:
    spec = run.tasks[task]
    return (run.rows[task].identity, spec.kind, spec.bounds, spec.labels if isinstance(spec, Classes) else (),
            spec.scored_by)  # fmt: skip


def _scores(
    spec: Task, task: str, rows: Sequence[Rows], keep: npt.NDArray[np.bool_], advance: Advance, draws: int
) -> list[tuple[float, npt.NDArray[np.float64], npt.NDArray[np.bool_] | None]]:
    """Score, drawn scores and right rows of each run."""
    labels = rows[0].labels[keep]
    answers = np.stack([part.answers[keep] for part in rows], axis=1)
    # By task and rows alone, so that another arm changes no number.
    rng = np.random.default_rng([zlib.crc32(task.encode()), int(rows[0].identity[:8], 16)])
    drawn = []
    for counts in row_counts(len(labels), draws, rng):
        drawn.append(RESAMPLED[spec.scored_by](labels, answers, counts))
        advance(len(counts) * len(keep))
    together = np.concatenate(drawn)
    return [
        (
            METRICS[spec.scored_by](labels, answers[:, i]),
            together[:, i],
            None if spec.kind == "rating" else answers[:, i] == labels,
        )
        for i in range(len(rows))
    ]
