"""The page of an experiment: arms beside each other, a dot for every seed."""

import json
import math
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minbert.comparison import Against, Comparison, compare, read_arms
from minbert.errors import RunError
from minbert.reporting.comparison import sentences
from minbert.reporting.page.arms import arm_curves, seed_dots
from minbert.reporting.page.html import Html, note, table, tag
from minbert.reporting.page.page import page
from minbert.reporting.page.scores import tiles
from minbert.reporting.page.section import Section
from minbert.reporting.tables import number
from minbert.runs import EXPERIMENT, Run, read_lines
from minbert.statistics.estimate import t_estimate
from minbert.training.answers import FILE as ANSWERS

MEAN = "mean of dev"


@dataclass(frozen=True)
class Experiment:
    """Runs of several arms under several seeds.

    Attributes:
        name: of the experiment.
        arms: what each arm changes in the recipe, by arm; the first is the control.
        seeds: of every arm.
        results: result.json of the finished runs, by (arm, seed).
        epochs: the lines of their epochs.
        missing: what state the other runs are in.
    """

    name: str
    arms: dict[str, dict[str, Any]]
    seeds: list[int]
    results: dict[tuple[str, int], dict[str, Any]]
    epochs: dict[tuple[str, int], list[dict[str, Any]]]
    missing: dict[tuple[str, int], str]

    @property
    def tasks(self) -> dict[str, str]:
        """The metric that counts, by task; an arm may have tasks of its own."""
        every = [item for result in self.results.values() for item in result["tasks"].items()]
        return {name: str(task["metric"]) for name, task in every}

    def scores(self, arm: str, task: str) -> dict[int, float]:
        """The scores of an arm on dev, by seed; `mean of dev` is a task, too."""
        found = {seed: result for (own, seed), result in self.results.items() if own == arm}
        if task == MEAN:
            return {seed: result["raw"] for seed, result in found.items() if "raw" in result}
        dev = {seed: result["tasks"][task]["dev"] for seed, result in found.items() if task in result["tasks"]}
        metric = self.tasks[task]
        return {seed: scores[metric] for seed, scores in dev.items() if metric in scores}


def read_experiment(folder: Path) -> Experiment:
    """Reads an experiment: its plan, and the runs that are finished.

    Raises:
        RunError: no plan, a damaged one, or no finished run.
    """
    plan = Run(folder).read(EXPERIMENT)
    try:
        name, seeds = str(plan["name"]), [int(seed) for seed in plan["seeds"]]
        arms = {str(arm): dict(changes) for arm, changes in dict(plan["arms"]).items()}
    except (KeyError, TypeError, ValueError) as fault:
        raise RunError(
            f"{folder / EXPERIMENT}: expected name, arms and seeds, found {fault!r}; it is damaged"
        ) from None
    results, epochs, missing = {}, {}, {}
    for arm in arms:
        for seed in seeds:
            run = Run(folder / arm / f"seed-{seed}")
            if run.finished:
                results[arm, seed] = run.read("result.json")
                lines = read_lines(run.folder / "metrics.jsonl")
                epochs[arm, seed] = [line for line in lines if line["event"] == "epoch"]
            else:
                missing[arm, seed] = "not finished" if run.begun else "not begun"
    if not results:
        raise RunError(f"{folder}: expected a finished run, found none of {len(missing)}; run the experiment first")
    return Experiment(name, arms, seeds, results, epochs, missing)


def interval(values: list[float]) -> tuple[float, float]:
    """The mean and half the width of its t interval; NaN for one value."""
    count, mean = len(values), statistics.fmean(values)
    if count < 2:
        return mean, math.nan
    estimate = t_estimate(mean, statistics.variance(values) / count, float(count - 1))
    return mean, estimate.high - mean


def compared(folder: Path, found: Experiment) -> Comparison | None:
    """The arms against the first one; None where fewer than two have finished runs, or runs keep no answers."""
    kept = all((folder / arm / f"seed-{seed}" / ANSWERS).is_file() for arm, seed in found.results)
    if not kept or len({arm for arm, _ in found.results}) < 2 or not found.scores(next(iter(found.arms)), MEAN):
        return None
    return compare(read_arms([folder]), lambda draws: None)


def experiment_page(found: Experiment, against: Comparison | None = None) -> str:
    """The page of an experiment.

    Args:
        found: its plan and runs.
        against: its arms against the first one.
    """
    raw = any("raw" in result for result in found.results.values())
    columns = [*([MEAN] if raw else []), *found.tasks]
    sections = [
        _table(found, columns, against),
        Section(
            "Every seed",
            "A dot for each run on dev; the bar is the 95 % t interval of the mean over seeds.",
            (seed_dots({c: {arm: found.scores(arm, c) for arm in found.arms} for c in columns}, interval),),
        ),
        Section(
            "Curves",
            "Dev over the epochs: thin lines are runs, thick ones the mean of the arm.",
            (arm_curves(found.epochs, list(found.arms), found.tasks),),
        ),
        _arms(found),
        _runs(found),
    ]
    about = f"an experiment: {len(found.arms)} arms, {len(found.seeds)} seeds, {len(found.results)} of "
    about += f"{len(found.results) + len(found.missing)} runs finished"
    return page(found.name, about, _headline(found, columns), sections)


def _headline(found: Experiment, columns: list[str]) -> Html:
    shown = []
    for arm in list(found.arms)[:5]:
        scores = list(found.scores(arm, columns[0]).values())
        if scores:
            shown.append((arm, number(sum(scores) / len(scores)), f"{columns[0]}, {len(scores)} seeds"))
    return tiles(shown)


def _table(found: Experiment, columns: list[str], against: Comparison | None) -> Section:
    """Arms and tasks, and the differences to the first arm, by the same rule as `minbert compare`."""
    arms = list(found.arms)
    rows = [[arm, *(_cell(list(found.scores(arm, column).values())) for column in columns)] for arm in arms]
    head = ["arm", *(f"{column}, {found.tasks[column]}" if column in found.tasks else column for column in columns)]
    parts = [table(head, rows, class_="wide")]
    if against and against.against:
        paired = [[one.arm, *(_difference(one, column) for column in columns)] for one in against.against]
        parts.append(table(["arm", *columns], paired, f"Difference to {against.against[0].control}"))
        parts += [note(f"{line}.") for line in sentences(against)]
    elif len(arms) > 1:
        parts.append(note("No difference can be shown: the runs keep no answers, or too few are finished."))
    notes = list(dict.fromkeys(result["note"] for result in found.results.values() if result["note"]))
    selected = list(dict.fromkeys(str(result["selected_on"]) for result in found.results.values()))
    on = f"The epoch was selected on {' and '.join('dev' if s == 'dev' else f'{s} of train' for s in selected)}."
    lead = f"Dev, the mean over seeds with its 95 % t interval. {on}"
    return Section("Scores", lead, (*parts, *(note(f"Note: {line}.") for line in notes)))


def _cell(values: list[float]) -> Html:
    if not values:
        return tag("td", "-", class_="number")
    mean, half = interval(values)
    more = "one seed" if math.isnan(half) else f"± {half:.3f}"
    return tag("td", number(mean), " ", tag("span", more, class_="delta"), class_="number")


def _difference(one: Against, column: str) -> Html:
    """A difference with the interval that decides; bold where it is the mean over all tasks and no noise."""
    wanted = "raw" if column == MEAN else column
    # With one task the mean over all is its score.
    alone = column == MEAN and len(one.contrasts) == 1
    found = [contrast.both for contrast in one.contrasts if alone or contrast.quantity == wanted]
    if not found:
        return tag("td", "-", class_="number")
    sure = column == MEAN and one.verdict != "noise"
    ends = tag("span", f"{found[0].low:+.3f} to {found[0].high:+.3f}", class_="delta")
    return tag("td", f"{found[0].difference:+.3f}", " ", ends, class_="number best" if sure else "number")


def _arms(found: Experiment) -> Section:
    """What each arm changes."""
    rows = []
    for arm, changes in found.arms.items():
        written = "\n".join(f"{path} = {json.dumps(value)}" for path, value in flat(changes).items())
        rows.append([arm, tag("td", tag("code", written) if written else "nothing: the recipe as it is")])
    return Section("Arms", "What each arm changes in the recipe.", (table(["arm", "changes"], rows, words=2),))


def flat(table: dict[str, Any], above: str = "") -> dict[str, Any]:
    """A table of tables as paths with dots; a value with a `kind` stays whole."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict) and value and "kind" not in value:
            found |= flat(value, f"{above}{key}.")
        else:
            found[f"{above}{key}"] = value
    return found


def _runs(found: Experiment) -> Section:
    """The state of every run."""
    rows = []
    for arm in found.arms:
        for seed in found.seeds:
            result = found.results.get((arm, seed))
            state = found.missing.get((arm, seed), "finished")
            digest = tag("td", tag("span", result["recipe_sha256"] if result else "-", class_="digest"))
            kept = f"{result['best'].get('stage')} {result['best'].get('epoch')}" if result else "-"
            rows.append([arm, str(seed), state, kept, digest])
    lead = f"{len(found.missing)} of {len(rows)} runs are missing." if found.missing else "All runs are finished."
    return Section("Runs", lead, (table(["arm", "seed", "state", "epoch kept", "recipe, SHA-256"], rows, words=5),))
