"""What stands under every comparison: the rule, what is missing, what differs, where it was computed."""

from collections.abc import Iterator, Sequence
from typing import Any

from minbert.comparison.arms import Arm
from minbert.comparison.compare import Against, Comparison

SHOWN = 6
"""How many differing settings of an arm are shown."""


def notes(arms: Sequence[Arm], found: Comparison, without_leaks: bool) -> list[str]:
    """The lines, the most important first."""
    able = [one for one in found.against if one.contrasts]
    lines = [_rule(able)] if able else []
    for arm in arms:
        if arm.missing:
            lines.append(f"{arm.name}: {arm.missing} of {arm.missing + len(arm.runs)} runs are not finished")
    for one in found.against:
        lines += [f"{task}: no comparison of {one.arm} with {one.control}: {why}" for task, why in one.apart.items()]
    runs = [run for arm in arms for run in arm.runs.values()]
    lines += _selections(arms)
    lines += _leaks([run.result for run in runs], without_leaks)
    lines += [f"note: {note}" for note in dict.fromkeys(run.result["note"] for run in runs) if note]
    lines += _recipes(arms)
    places = list(dict.fromkeys(place(run.environment) for run in runs))
    if len(places) > 1:
        lines.append("not all runs were made under the same conditions; that may be part of a difference:")
    return lines + [f"computed on {where}" for where in places]


def _rule(able: Sequence[Against]) -> str:
    corrected = f" after Holm's correction for {len(able)} arms" if len(able) > 1 else ""
    over = "seeds and rows" if any(len(one.pairs) > 1 for one in able) else "rows"
    quantity = able[0].contrasts[0].quantity
    return (
        f"a gain or a loss is where p of {quantity}, over {over}, is below .05{corrected}; all else is "
        "secondary and not corrected"
    )


def _selections(arms: Sequence[Arm]) -> list[str]:
    """On which rows the arms' epochs were selected, and whose scores are too high for it."""
    found: dict[str | float, list[str]] = {}
    for arm in arms:
        for run in arm.runs.values():
            if run.result["best"].get("epoch"):
                found.setdefault(run.result["selected_on"], []).append(arm.name)
    shares = sorted(share for share in found if isinstance(share, float))
    lines = [f"epochs were selected on {' or '.join(f'{s:.0%}' for s in shares)} of train, held out"] if shares else []
    if "dev" in found:
        chosen = list(dict.fromkeys(found["dev"]))
        ready = [arm for arm in arms if arm.runs]
        whose = "all scores" if len(chosen) == len(ready) else f"the scores of {', '.join(chosen)}"
        lines.append(f"epochs were selected on dev, on which they are scored here: {whose} are somewhat too high")
    return lines


def _leaks(results: Sequence[dict[str, Any]], without: bool) -> list[str]:
    counts: dict[tuple[str, int], set[int]] = {}
    for result in results:
        for name, task in result["tasks"].items():
            counts.setdefault((name, task["dev_rows"]), set()).add(task["dev_leaked_rows"])
    remedy = "left out here, but not of the floors" if without else "--without-leaks leaves them out"
    lines = []
    for (name, rows), leaked in sorted(counts.items()):
        # Where a share of train is held out or drawn, it is another one under another seed.
        ends = " to ".join(f"{count:,}" for count in dict.fromkeys([min(leaked), max(leaked)]))
        lines += [f"{name}: {ends} of {rows:,} dev rows can be had from train; {remedy}"] if max(leaked) else []
    return lines


def _recipes(arms: Sequence[Arm]) -> Iterator[str]:
    """The digest of each arm's recipe, and what it changes in the control's."""
    ready = [arm for arm in arms if arm.runs]
    first = next(iter(ready[0].runs.values()))
    for arm in ready:
        run = next(iter(arm.runs.values()))
        changed = _changes(first.settings, run.settings)
        more = [f"and {len(changed) - SHOWN} more"] if len(changed) > SHOWN else []
        said = ", ".join(changed[:SHOWN] + more) or ("the control" if arm is ready[0] else "the control's recipe")
        yield f"{arm.name}: recipe {run.recipe[:12]}; {said}"


def _changes(control: dict[str, Any], arm: dict[str, Any]) -> list[str]:
    """`path = value (the control's)` for each setting that differs."""
    paths = dict.fromkeys([*arm, *control])
    return [
        f"{path} = {_shown(arm, path)} ({_shown(control, path)})"
        for path in paths
        if arm.get(path, paths) != control.get(path, paths)
    ]


def _shown(settings: dict[str, Any], path: str) -> str:
    value = settings.get(path, "-")
    return f"{value:g}" if isinstance(value, float) else str(value)


def place(environment: dict[str, Any]) -> str:
    """Processor, threads, device, precision and torch of a run."""
    threads = environment.get("threads", "?")
    return (
        f"{environment.get('processor') or 'an unknown processor'}, {threads} thread{'' if threads == 1 else 's'}, "
        f"{environment.get('device', '?')}, {environment.get('precision', '?')}, torch {environment.get('torch', '?')}"
    )
