"""Arms against the first one: differences, intervals, and what to call them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from minbert.comparison.arms import Arm
from minbert.comparison.sampled import Advance, Sampled, Table, sample_runs
from minbert.statistics import (
    ALPHA,
    Differences,
    Estimate,
    bootstrap_interval,
    holm,
    mcnemar,
    paired_t,
    smallest_difference,
    two_way,
)

CORRELATIONS = ("pearson", "spearman")
WAYS = {"head": "its head", "embedding": "the cosine of its embeddings"}
Verdict = Literal["gain", "loss", "noise"]


@dataclass(frozen=True)
class Contrast:
    """One quantity of an arm, less that of the control.

    Attributes:
        quantity: `raw`, `norm`, or a task.
        both: over seeds and rows; over rows alone if there is one seed.
        seeds: over seeds alone, on these very rows; None if there is one seed.
        bootstrap: the percentile interval over seeds and rows.
        mcnemar: p of McNemar's test; None for several seeds and for metrics other than accuracy.
    """

    quantity: str
    both: Estimate
    seeds: Estimate | None
    bootstrap: tuple[float, float]
    mcnemar: float | None


@dataclass(frozen=True)
class Against:
    """An arm against the control.

    Attributes:
        arm: its name.
        control: the control's name.
        pairs: the seeds compared, (control, arm); the same but where each has one run only.
        contrasts: the first one is the primary one, that decides; the others are secondary.
        apart: tasks that cannot be compared, and why.
        p: of the primary one, after Holm's correction over the arms.
        detectable: the smallest difference of it that would be found four times in five.
        verdict: what to call it.
    """

    arm: str
    control: str
    pairs: list[tuple[int, int]]
    contrasts: list[Contrast] = field(default_factory=list)
    apart: dict[str, str] = field(default_factory=dict)
    p: float = 1.0
    detectable: float = 0.0
    verdict: Verdict = "noise"


@dataclass(frozen=True)
class ArmScores:
    """One arm by itself.

    Attributes:
        arm: its name.
        seeds: of its finished runs.
        scores: by quantity the score of each seed; a quantity that a seed lacks is left out.
    """

    arm: str
    seeds: list[int]
    scores: dict[str, list[float]]


@dataclass(frozen=True)
class Comparison:
    """All arms, and all but the first against the first.

    Attributes:
        arms: in the order given.
        against: likewise; without the control.
        correlations: tasks whose metric is a correlation.
    """

    arms: list[ArmScores]
    against: list[Against]
    correlations: list[str]


def compare(arms: Sequence[Arm], advance: Advance, without_leaks: bool = False) -> Comparison:
    """Compares arms with the first one.

    An arm has a gain or a loss where the two-way test of its primary quantity, the mean over tasks, has p < .05 after
    Holm's correction over the arms. Everything else is shown and decides nothing.

    Args:
        arms: two or more; the first one has finished runs.
        advance: hears of the work, see `sample_runs`.
        without_leaks: leave out rows that train gives away.
    """
    arms = [arm for arm in arms if arm.runs]
    table = sample_runs(arms, without_leaks, advance)
    found = [_against(arms[0], arm, table) for arm in arms[1:]]
    able = [one for one in found if one.contrasts]
    adjusted = dict(zip((one.arm for one in able), holm([one.contrasts[0].both.p for one in able]), strict=True))
    judged = [_judged(one, adjusted[one.arm], len(able)) if one.contrasts else one for one in found]
    tasks = {name: sampled.metric for seen in table.values() for name, sampled in seen.items()}
    return Comparison(
        [_scores(arm, table) for arm in arms],
        judged,
        [name for name, metric in tasks.items() if metric in CORRELATIONS],
    )


def _judged(one: Against, p: float, arms: int) -> Against:
    """The verdict, and the smallest difference that the hardest step of Holm's correction would let pass."""
    primary = one.contrasts[0]
    both = primary.both
    tests = [both, primary.seeds] if primary.seeds else [both]
    detectable = max(smallest_difference(test.error, test.df, ALPHA / arms) for test in tests)
    verdict: Verdict = "noise" if p >= ALPHA else "gain" if both.difference > 0 else "loss"
    return replace(one, p=p, detectable=detectable, verdict=verdict)


def _against(control: Arm, arm: Arm, table: Table) -> Against:
    """All quantities of an arm against those of the control, on the seeds and tasks that both have."""
    pairs = [(seed, seed) for seed in control.runs if seed in arm.runs]
    if not pairs and len(control.runs) == len(arm.runs) == 1:
        pairs = [(next(iter(control.runs)), next(iter(arm.runs)))]
    found = Against(arm.name, control.name, pairs)
    if not pairs:
        return found
    ours = [table[arm.name, seed] for _, seed in pairs]
    theirs = [table[control.name, seed] for seed, _ in pairs]
    names = dict.fromkeys(name for run in (*theirs, *ours) for name in run)
    why = {name: _why_apart([(a.get(name), b.get(name)) for a, b in zip(theirs, ours, strict=True)]) for name in names}
    tasks = [name for name in names if not why[name]]
    contrasts = [
        _contrast(quantity, weights, theirs, ours, number)
        for number, (quantity, weights) in enumerate(_quantities(tasks, theirs[0], len(names)).items())
    ]
    return replace(found, contrasts=contrasts, apart={name: reason for name, reason in why.items() if reason})


def _why_apart(pairs: Sequence[tuple[Sampled | None, Sampled | None]]) -> str:
    """Why a task cannot be compared; empty if it can."""
    for control, arm in pairs:
        if control is None or arm is None:
            return "not scored in both"
        if control.metric != arm.metric:
            return f"another metric ({control.metric}, {arm.metric})"
        if control.key != arm.key:
            return "other dev rows, or other labels"
        if control.by != arm.by:
            return f"scored by {WAYS[control.by]} and by {WAYS[arm.by]}"
    return ""


def _quantities(tasks: Sequence[str], run: dict[str, Sampled], of: int) -> dict[str, dict[str, float]]:
    """The weights of the tasks in each quantity, the primary one first."""
    single = {task: {task: 1.0} for task in tasks}
    if len(tasks) < 2:
        return single
    halves = {task: 0.5 if run[task].metric in CORRELATIONS else 1.0 for task in tasks}
    means = {
        "raw": {task: 1 / len(tasks) for task in tasks},
        "norm": {task: half / len(tasks) for task, half in halves.items()},
    }
    part = "" if len(tasks) == of else f" of {len(tasks)} of {of} tasks"
    return {f"{name}{part}": weights for name, weights in means.items()} | single


def _contrast(
    quantity: str,
    weights: dict[str, float],
    theirs: Sequence[dict[str, Sampled]],
    ours: Sequence[dict[str, Sampled]],
    number: int,
) -> Contrast:
    """One quantity: the weighted sum of the tasks' differences."""
    runs = list(zip(theirs, ours, strict=True))
    seeds = np.array([sum(w * (b[t].score - a[t].score) for t, w in weights.items()) for a, b in runs])
    drawn = np.stack([np.stack([w * (b[t].draws - a[t].draws) for a, b in runs], axis=1) for t, w in weights.items()])
    found = Differences(seeds, drawn, tuple(theirs[0][task].rows for task in weights))
    only = [(a[task], b[task]) for a, b in runs for task in weights]
    exact = None
    if len(only) == 1 and only[0][0].metric == "accuracy":
        control, arm = only[0]
        assert control.right is not None and arm.right is not None
        exact = mcnemar(control.right, arm.right)
    interval = bootstrap_interval(found, np.random.default_rng(number))
    return Contrast(quantity, two_way(found), paired_t(seeds) if len(seeds) > 1 else None, interval, exact)


def _scores(arm: Arm, table: Table) -> ArmScores:
    """The raw and norm mean and every task, by seed."""
    runs = [table[arm.name, seed] for seed in arm.runs]
    tasks = dict.fromkeys(task for run in arm.runs.values() for task in run.tasks)
    scores: dict[str, list[float]] = {}
    for quantity, weights in _all_means(list(tasks), runs).items():
        own = [
            sum(w * _own(run[t], quantity) for t, w in weights.items())
            for run in runs
            # A mean of heads and of embeddings is the score of nothing.
            if weights.keys() <= run.keys() and len({run[t].by for t in weights}) == 1
        ]
        if own:
            scores[quantity] = own
    return ArmScores(arm.name, list(arm.runs), scores)


def _own(sampled: Sampled, quantity: str) -> float:
    """The score, or for the norm mean a correlation as `(r + 1) / 2`."""
    return (sampled.score + 1) / 2 if quantity == "norm" and sampled.metric in CORRELATIONS else sampled.score


def _all_means(tasks: Sequence[str], runs: Sequence[dict[str, Sampled]]) -> dict[str, dict[str, float]]:
    even = {task: 1 / len(tasks) for task in tasks}
    means = {"raw": even, "norm": even} if len(tasks) > 1 else {}
    return means | {task: {task: 1.0} for task in tasks}
