"""Tables of an experiment while it runs."""

from statistics import fmean, stdev

from rich.table import Table

from minbert.reporting.tables import Result, number, table

WIDE = 6
"""With more seeds than this there is a mean only."""

Cell = tuple[str, float | None]
"""The state of a run, and its raw mean if it has one."""


def arms_table(cells: dict[str, dict[int, Cell]]) -> Table:
    """The raw mean of dev of every run, or how far it is.

    Args:
        cells: by arm and seed.
    """
    seeds = list(next(iter(cells.values())))
    shown = seeds if len(seeds) <= WIDE else []
    rows = []
    for arm, found in cells.items():
        scores = [raw for _, raw in found.values() if raw is not None]
        done = sum(state == "done" for state, _ in found.values())
        mean = number(fmean(scores)) if scores else "-"
        rows.append([arm, *(_cell(found[seed]) for seed in shown), mean, f"{done}/{len(found)}"])
    return table("raw mean of dev by seed", ["arm", *map(str, shown), "mean", "done"], rows)


def trials_table(names: list[str], rows: list[tuple[int, str, tuple[float, ...], str]]) -> Table:
    """Trials of a search.

    Args:
        names: of the objectives.
        rows: number, state, scores (none if it was not finished) and settings of each.
    """
    cells = []
    for trial, state, scores, settings in rows:
        shown = list(map(number, scores)) or [state, *[""] * (len(names) - 1)]
        cells.append([str(trial), *shown, settings])
    made = table("", ["trial", *names, "settings"], cells)
    made.columns[-1].justify = "left"
    return made


def _cell(cell: Cell) -> str:
    state, raw = cell
    # Short words: with six seeds the table still fits 80 columns.
    words = {"new": "-", "running": "busy", "done": number(raw)}
    return words.get(state, state)


def seeds_table(results: dict[int, Result]) -> Table:
    """Mean and standard deviation of dev over seeds, for each task and the raw mean.

    Args:
        results: final tables, by seed.
    """
    seeds = sorted(results)
    first = results[seeds[0]]
    found = {
        f"{name} {task['metric']}": [results[seed]["tasks"][name]["dev"].get(task["metric"]) for seed in seeds]
        for name, task in first["tasks"].items()
    }
    if "raw" in first:
        found["raw mean"] = [results[seed].get("raw") for seed in seeds]
    rows = []
    for name, given in found.items():
        scores = [score for score in given if score is not None]
        cells = map(number, given) if len(seeds) <= WIDE else ()
        rows.append([name, *cells, number(fmean(scores)) if scores else "-", number(_deviation(scores))])
    shown = seeds if len(seeds) <= WIDE else []
    return table("dev by seed", ["", *map(str, shown), "mean", "sd"], rows)


def _deviation(scores: list[float]) -> float | None:
    """The standard deviation of a sample; None for one score."""
    return stdev(scores) if len(scores) > 1 else None


def plan_table(rows: list[tuple[str, int, int, int, str]]) -> Table:
    """What is left of an experiment: by arm the runs that are done, that failed, that are left, and the time of one."""
    lines = [[arm, f"{done}", f"{failed}", f"{left}", time] for arm, done, failed, left, time in rows]
    return table("", ["arm", "done", "failed", "left", "time a run"], lines)
