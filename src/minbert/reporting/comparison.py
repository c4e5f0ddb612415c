"""A comparison as text, markdown, LaTeX or JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from statistics import fmean, stdev
from typing import Any

from minbert.comparison import Against, Arm, Comparison, notes, sentence
from minbert.reporting.grid import Grid, escaped
from minbert.reporting.tables import number
from minbert.statistics import Estimate

FLOORS = {"trivial": "floor: trivial", "frozen": "floor: frozen", "untouched": "floor: cosine"}
NOTHING = "-"


def score_grid(arms: Sequence[Arm], found: Comparison) -> Grid:
    """Mean and standard deviation over seeds of each arm, over the floors."""
    quantities = list(dict.fromkeys(name for arm in found.arms for name in arm.scores))
    rows = [[arm.arm, f"{len(arm.seeds)}", *(_mean(arm.scores.get(name)) for name in quantities)] for arm in found.arms]
    for floor, label in FLOORS.items():
        values = floors_of(arms, floor, found.correlations)
        if any(name in values for name in quantities):
            rows.append([label, NOTHING, *(number(values.get(name)) for name in quantities)])
    return Grid("dev: mean (standard deviation over seeds)", ["arm", "seeds", *quantities], rows)


def floors_of(arms: Sequence[Arm], floor: str, correlations: Sequence[str]) -> dict[str, float]:
    """A floor of each task, by the first arm that has the task; and their means where all arms have all tasks."""
    of_arms = [next(iter(arm.runs.values())).result["tasks"] for arm in arms]
    tasks = {name: task for tasks in reversed(of_arms) for name, task in tasks.items()}
    found: dict[str, float] = {name: task["floors"][floor] for name, task in tasks.items() if floor in task["floors"]}
    if all(found.keys() == its.keys() for its in of_arms):
        norm = [(value + 1) / 2 if name in correlations else value for name, value in found.items()]
        found |= {"raw": fmean(found.values()), "norm": fmean(norm)}
    return found


def _mean(values: list[float] | None) -> str:
    if not values:
        return NOTHING
    return f"{fmean(values):.3f}" + (f" ({stdev(values):.3f})" if len(values) > 1 else "")


def difference_grid(one: Against) -> Grid:
    """Every quantity of an arm less that of the control, with its intervals."""
    several = len(one.pairs) > 1
    rows = []
    for contrast in one.contrasts:
        cells = [contrast.quantity, f"{contrast.both.difference:+.3f}", _interval(contrast.both)]
        other = _interval(contrast.seeds) if contrast.seeds else number(contrast.mcnemar)
        low, high = contrast.bootstrap
        rows.append([*cells, f"{contrast.both.p:.3f}", other, f"{low:+.3f} to {high:+.3f}"])
    what = "seeds" if several else "seed"
    listed = ", ".join(f"{ours}" if ours == theirs else f"{ours} and {theirs}" for theirs, ours in one.pairs)
    deciding = "seeds and rows" if several else "rows"
    other = "seeds alone" if several else "McNemar p"
    columns = ["", "diff", deciding, "p", other, "bootstrap"]
    return Grid(f"{one.arm} less {one.control}, {what} {listed}", columns, rows)


def _interval(estimate: Estimate) -> str:
    return f"{estimate.low:+.3f} to {estimate.high:+.3f}"


def sentences(found: Comparison) -> list[str]:
    """One for each arm but the control."""
    able = sum(bool(one.contrasts) for one in found.against)
    return [sentence(one, able) for one in found.against]


def grids(arms: Sequence[Arm], found: Comparison) -> list[Grid]:
    """The scores, then the differences of each arm."""
    ready = [arm for arm in arms if arm.runs]
    return [score_grid(ready, found), *(difference_grid(one) for one in found.against if one.contrasts)]


def as_markdown(arms: Sequence[Arm], found: Comparison, without_leaks: bool) -> str:
    """Tables, then sentences, then notes as a list."""
    lines = [line.replace("_", "\\_").replace("*", "\\*") for line in notes(arms, found, without_leaks)]
    parts = [grid.markdown() for grid in grids(arms, found)] + [f"**{line}.**" for line in sentences(found)]
    return "\n\n".join([*parts, "\n".join(f"- {line}" for line in lines)])


def as_latex(arms: Sequence[Arm], found: Comparison, without_leaks: bool) -> str:
    """Tables, then sentences, then notes; needs no package."""
    parts = [grid.latex() for grid in grids(arms, found)] + [f"{escaped(line)}." for line in sentences(found)]
    small = "\n".join([r"{\footnotesize", r"\begin{itemize}"])
    items = "\n".join(rf"\item {escaped(line)}" for line in notes(arms, found, without_leaks))
    return "\n\n".join([*parts, f"{small}\n{items}\n" + "\\end{itemize}}"])


def as_json(arms: Sequence[Arm], found: Comparison, without_leaks: bool) -> str:
    """Everything, in full precision."""
    ready = [arm for arm in arms if arm.runs]
    content: dict[str, Any] = asdict(found)
    for table, arm in zip(content["arms"], ready, strict=True):
        run = next(iter(arm.runs.values()))
        table |= {"missing": arm.missing, "recipe_sha256": run.recipe, "environment": run.environment}
        table["runs"] = {seed: str(run.folder) for seed, run in arm.runs.items()}
    content["floors"] = {floor: floors_of(ready, floor, found.correlations) for floor in FLOORS}
    content["sentences"] = sentences(found)
    content["notes"] = notes(arms, found, without_leaks)
    return json.dumps(content, indent=2)
