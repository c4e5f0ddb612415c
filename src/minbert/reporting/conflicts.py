"""What the tasks' gradients say of each other: who disturbs whom, in which layers, and when."""

import math
from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.table import Table

from minbert.errors import RunError
from minbert.reporting.tables import table
from minbert.runs import Run, read_lines
from minbert.training.conflicts import FILE, WHOLE

Numbers = npt.NDArray[np.float64]
Lines = list[dict[str, Any]]

PAIRS_A_TABLE = 3
"""Pairs that stand beside each other on eighty columns."""

LETTERS = 26
"""Of two names that stand on one line."""

WINDOW = 15
"""Steps over which a line is smoothed, at most."""


@dataclass(frozen=True)
class Pair:
    """Two tasks over the steps that held both.

    Attributes:
        tasks: the two.
        steps: (n,), counted on from stage to stage.
        cosines: by layer group, (n,); NaN where a gradient was zero.
        norms: by layer group, (n, 2), in the order of `tasks`.
    """

    tasks: tuple[str, str]
    steps: npt.NDArray[np.int64]
    cosines: dict[str, Numbers]
    norms: dict[str, Numbers]

    def summary(self, group: str) -> dict[str, float | None]:
        """Mean cosine, share of steps below zero, the mean of the first and last third, the median ratio of norms."""
        found, norms = self.cosines[group], self.norms[group]
        third = max(1, len(found) // 3)
        known = found[~np.isnan(found)]
        sound = norms[(norms > 0).all(1)]
        return {
            "cosine": mean(known),
            "negative": mean(known < 0),
            "first_third": mean(found[:third]),
            "last_third": mean(found[-third:]),
            "norm_ratio": float(np.median(sound[:, 0] / sound[:, 1])) if len(sound) else None,
        }

    def effects(self, group: str = WHOLE) -> tuple[float | None, float | None]:
        """What a step on one task does for the other, as a share of what the other's own step does: on 0, and on 1.

        `sum g_0 . g_1 / sum ||g_0||^2` over the steps, to first order: -.1 undoes a tenth of the way down.
        """
        norms = self.norms[group]
        dots = np.nansum(self.cosines[group] * norms.prod(1))
        lengths = np.square(norms).sum(0)
        first, second = (float(dots / length) if length else None for length in lengths)
        return first, second


def mean(values: npt.NDArray[Any]) -> float | None:
    """The mean without NaN; None where nothing is left."""
    known = values[~np.isnan(values.astype(float))]
    return float(known.mean()) if len(known) else None


def moving_mean(steps: npt.NDArray[Any], values: Numbers) -> tuple[Numbers, Numbers]:
    """The mean over a window of neighbours, of values that are numbers; shorter windows for few values."""
    known = ~np.isnan(values)
    steps, values = steps[known].astype(float), values[known]
    width = max(1, min(WINDOW, len(values) // 4))
    kernel = np.full(width, 1 / width)
    if not len(values):
        return steps, values
    return np.convolve(steps, kernel, "valid"), np.convolve(values, kernel, "valid")


def colour_limit(pairs: list[Pair]) -> float:
    """The cosine that has the full colour: nearly the largest there is."""
    values = np.concatenate([column for pair in pairs for column in pair.cosines.values()])
    return max(0.05, float(np.nanquantile(np.abs(values), 0.98)))


def recorded(folder: Path) -> Lines:
    """The lines of `conflicts.jsonl`.

    Raises:
        RunError: no run, or one that recorded nothing; says how to record.
    """
    lines = read_lines(folder / FILE)
    if not lines:
        if not Run(folder).begun:
            raise RunError(f"{folder}: expected a run, found none; `minbert train` makes one")
        raise RunError(
            f"{folder / FILE}: expected what training wrote down of the tasks' gradients, found nothing; train with "
            "--set stages.<stage>.conflicts_every=10, in steps of several tasks (batches_per_step 2 or more)"
        )
    if not any("cosines" in line for line in lines):
        raise RunError(f"{folder / FILE}: expected steps with several tasks, found {len(lines)} with one each")
    return lines


def pairs_of(lines: Lines) -> list[Pair]:
    """The pairs of tasks that met in a step, in the order of the recipe."""
    steps = running(lines)
    several = [(step, line) for step, line in zip(steps, lines, strict=True) if "cosines" in line]
    names = list(dict.fromkeys(task for _, line in several for task in line["tasks"]))
    groups = ordered_groups(lines)
    pairs = []
    for a, b in combinations(names, 2):
        met = [(step, line) for step, line in several if a in line["tasks"] and b in line["tasks"]]
        if met:
            found = np.array([_numbers(line, groups, a, b) for _, line in met])
            by_group = {group: found[:, place] for place, group in enumerate(groups)}
            cosines = {group: part[:, 0] for group, part in by_group.items()}
            norms = {group: part[:, 1:] for group, part in by_group.items()}
            pairs.append(Pair((a, b), np.array([step for step, _ in met]), cosines, norms))
    return pairs


def running(lines: Lines) -> list[int]:
    """The step of each line, counted on from stage to stage."""
    found, offset = [], 0
    for before, line in pairwise([None, *lines]):
        assert line is not None
        if before and before["stage"] != line["stage"]:
            offset += before["step"]
        found.append(offset + line["step"])
    return found


def ordered_groups(lines: Lines) -> list[str]:
    """The layer groups from bottom to top, the whole last."""
    found = dict.fromkeys(group for line in lines for group in line.get("cosines", {}) if group != WHOLE)

    def place(group: str) -> tuple[int, int]:
        kind, _, layer = group.partition(" ")
        return ["embeddings", "layer", "pooler"].index(kind), int(layer or 0)

    return [*sorted(found, key=place), WHOLE]


def _numbers(line: dict[str, Any], groups: list[str], a: str, b: str) -> list[list[float]]:
    """For each group the cosine of two tasks and their norms; a group that the step did not use has NaN and zeros."""
    tasks = line["tasks"]
    first, second = tasks.index(a), tasks.index(b)
    pair = list(combinations(range(len(tasks)), 2)).index((min(first, second), max(first, second)))
    rows = []
    for group in groups:
        cosine = line["cosines"][group][pair] if group in line["cosines"] else None
        norms = line["norms"].get(group, [0.0] * len(tasks))
        rows.append([math.nan if cosine is None else cosine, norms[first], norms[second]])
    return rows


def conflict_summary(lines: Lines) -> dict[str, Any]:
    """Everything that the tables show, for a program."""
    pairs = pairs_of(lines)
    effects: dict[str, dict[str, float | None]] = {}
    for pair in pairs:
        a, b = pair.tasks
        on_a, on_b = pair.effects()
        effects.setdefault(a, {})[b], effects.setdefault(b, {})[a] = on_a, on_b
    return {
        "steps": len(lines),
        "several_tasks": sum("cosines" in line for line in lines) / len(lines),
        "pairs": [
            {"tasks": pair.tasks, "steps": len(pair.steps), "groups": {g: pair.summary(g) for g in pair.cosines}}
            for pair in pairs
        ],
        "effects": effects,
    }


def conflict_tables(found: dict[str, Any]) -> list[Table]:
    """The tables of a summary: pairs, effects, layers."""
    rows = []
    for pair in found["pairs"]:
        whole = pair["groups"][WHOLE]
        cells = [signed(whole[key]) for key in ("cosine", "first_third", "last_third")]
        ratio = "-" if whole["norm_ratio"] is None else f"{whole['norm_ratio']:.2f}"
        rows.append([pair_name(pair["tasks"]), f"{pair['steps']:,}", cells[0], share(whole), *cells[1:], ratio])
    columns = ["pair", "steps", "cosine", "below 0", "first\nthird", "last\nthird", "norms"]
    made = [table("gradients on the shared weights", columns, rows)]
    tasks = list(found["effects"])
    matrix = [[task, *(signed(found["effects"][task].get(other)) for other in tasks)] for task in tasks]
    made.append(table("what a step on the column does for the row", ["", *tasks], matrix))
    for start in range(0, len(found["pairs"]), PAIRS_A_TABLE):
        part = found["pairs"][start : start + PAIRS_A_TABLE]
        layers = [
            [group, *(f"{signed(p['groups'][group]['cosine'])} {share(p['groups'][group]):>4}" for p in part)]
            for group in part[0]["groups"]
        ]
        made.append(
            table("by layer: cosine, share of steps below 0", ["", *("\n".join(p["tasks"]) for p in part)], layers)
        )
    return made


def pair_name(tasks: tuple[str, str]) -> str:
    """The two names, below each other where they are long."""
    return ("\n" if sum(map(len, tasks)) > LETTERS else " - ").join(tasks)


def signed(value: float | None) -> str:
    """Three places with the sign, or a dash."""
    # What rounds to nothing has no sign: adding 0.0 takes it from -0.0.
    return "-" if value is None else f"{round(value, 3) + 0.0:+.3f}"


def share(summary: dict[str, float | None]) -> str:
    """The share of steps with a negative cosine."""
    return "-" if summary["negative"] is None else f"{summary['negative']:.0%}"


LEGEND = (
    "cosine: the mean over the steps; below 0: share of steps in which the two tasks pull against each other. norms: "
    "the first task's gradient over the second's (median). what a step does: as a share of what the row's own step "
    "does, to first order; -.100 undoes a tenth."
)
