"""What an audit of the data shows."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from minbert.reporting.tables import Result, number, table

SHOWN = 3
"""Findings of a kind that are shown; the JSON has all."""
LEAST_SHARED = 0.005
"""The share of rows with a text of another task from which a line is worth it."""
FROZEN = " frozen: logistic or ridge regression on the encoder as found. cosine: its cosine alone."
CLASSES = 6
"""Classes that are shown."""


def audit_tables(found: Result) -> list[Table]:
    """The rows of every split, their lengths and labels, and what leaks."""
    splits = [(name, split, part) for name, task in found["tasks"].items() for split, part in task["splits"].items()]
    rows = [
        [
            f"{name} {split}",
            *(f"{part[key]:,}" for key in ("rows", "broken", "duplicates", "disagreements")),
            *(f"{part['tokens'][key]:,}" for key in ("median", "p95", "max", "cut") if part["tokens"]),
        ]
        for name, split, part in splits
    ]
    lengths = ["median", "95 %", "max", "cut"] if splits[0][2]["tokens"] else []
    columns = ["", "rows", "broken", "twice", "dis-\nagree", *lengths]
    labels = [[f"{name} {split}", _labels(part)] for name, split, part in splits]
    return [table("rows, and tokens of what the encoder reads" if lengths else "rows", columns, rows),
            _left(table("labels", ["", "share of each"], labels)),
            leak_table(found), floor_table(found)]  # fmt: skip


def _left(made: Table) -> Table:
    """The table with its second column to the left: it holds words."""
    made.columns[1].justify = "left"
    return made


def _labels(part: Mapping[str, Any]) -> str:
    if not part["classes"]:
        return f"mean {part['mean']:.2f}"
    shares = [f"{label} {count / part['rows']:.1%}" for label, count in part["classes"].items()]
    more = len(shares) - CLASSES
    return ", ".join(shares[:CLASSES]) + (f" and {more} more" if more > 0 else "")


def leak_table(found: Result) -> Table:
    """How many rows of each split can be had from another; of other tasks' train only where that is some."""
    told = [
        leak
        for leak in found["leaks"]
        if leak["task"] == leak["from_task"] or leak["any"] or leak["shared"] >= LEAST_SHARED * leak["rows"]
    ]
    rows = [
        [
            f"{leak['task']} {leak['split']}",
            _source(leak),
            *(f"{leak[key]:,}" for key in ("exact", "letters", "near", "transitive", "any")),
            f"{leak['shared'] / leak['rows']:.0%}",
        ]
        for leak in told
    ]
    columns = ["rows of", "in", "by\nwords", "by\nletters", "near", "tran-\nsitive", "any", "share\na text"]
    made = table("leaks", columns, rows)
    made.columns[1].justify = "left"
    return made


def short_audit(found: Result, kinds: Iterable[str]) -> tuple[list[Table], str]:
    """The same in short: the leaks, if there are any, and what was found in all."""
    leaking = {**found, "leaks": [leak for leak in found["leaks"] if leak["any"]]}
    return [leak_table(leaking)] if leaking["leaks"] else [], summary(found["counts"], kinds, ())


def _source(leak: Result) -> str:
    own = leak["task"] == leak["from_task"]
    return str(leak["from_split"]) if own else f"{leak['from_task']} {leak['from_split']}"


def floor_table(found: Result) -> Table:
    """What a score on dev must beat."""
    floors = {name: task["floors"] for name, task in found["tasks"].items()}
    names = list(dict.fromkeys(floor for each in floors.values() for floor in each))
    titles = {"trivial": "trivial", "frozen": "frozen", "untouched": "cosine"}
    rows = [
        [name, found["tasks"][name]["metric"], *(number(each.get(floor)) for floor in names)]
        for name, each in floors.items()
    ]
    return table("floors on dev", ["task", "metric", *(titles[name] for name in names)], rows)


def audit_legend(found: Result) -> str:
    """What the columns mean."""
    near = f"near: not equal, but the shingles (five characters) of each text overlap by {found['near']:g} or more. "
    return (
        "twice: equal rows beyond the first. disagree: groups of equal rows with different labels. by words: case and "
        f"punctuation apart, pairs in either order. {near if found['near'] else ''}transitive: yes-pairs that follow "
        "from train's by A = B, B = C. trivial: the most frequent class of train, or a constant."
        f"{FROZEN if any('frozen' in task['floors'] for task in found['tasks'].values()) else ''}"
    )


def finding_lines(found: Result, kinds: Mapping[str, str]) -> list[str]:
    """The first findings of each kind, with file and line."""
    folder = _folder(found)
    lines = [f"places are in {folder}"] if folder and found["findings"] else []
    for kind, what in kinds.items():
        of_kind = [finding for finding in found["findings"] if finding["kind"] == kind]
        if of_kind:
            lines.append(f"{kind}, {len(of_kind):,} ({what}):")
            lines += [
                f"  {_said(finding)}".replace(f"{folder}{os.sep}" if folder else "\0", "")
                for finding in of_kind[:SHOWN]
            ]
            if len(of_kind) > SHOWN:
                lines.append(f"  ... and {len(of_kind) - SHOWN:,} more; --json has all")
    for overlap in found["train_in_train"]:
        (one, other), (rows, of_other) = overlap["tasks"], overlap["rows"]
        lines.append(f"no leak: {rows:,} rows of {one} train stand in {other} train, {of_other:,} the other way round")
    return lines


def _folder(found: Result) -> str:
    """The folder that all places are in; empty where there is none."""
    folders = {str(Path(place).parent) for f in found["findings"] for place in (f["place"], *f["others"])}
    return os.path.commonpath(folders) if len({Path(folder).is_absolute() for folder in folders}) == 1 else ""


def _said(finding: Result) -> str:
    if not finding["others"]:
        return f"{finding['place']}: {finding['says']}"
    more = f" and {len(finding['others']) - 2} more" if len(finding["others"]) > 2 else ""
    return f"{finding['place']}: {finding['says']}: {', '.join(finding['others'][:2])}{more}"


def summary(counts: Mapping[str, int], kinds: Iterable[str], allowed: Sequence[str]) -> str:
    """One line: what was found, and what of it is allowed."""
    found = [f"{kind} {counts[kind]:,}{' (allowed)' if kind in allowed else ''}" for kind in kinds if counts.get(kind)]
    return "found: " + ", ".join(found) if found else "found: nothing amiss"


def fix_lines(found: Result, folder: Path) -> list[str]:
    """What `--fix` left out, and what to do next."""
    lines = []
    for name, fixed in found["fix"].items():
        dropped = ", ".join(f"{reason} {count:,}" for reason, count in fixed["dropped"].items()) or "nothing"
        lines.append(f"{name}: {fixed['kept']:,} rows of train kept; left out: {dropped}")
    held = sum(part["broken"] for task in found["tasks"].values() for s, part in task["splits"].items() if s != "train")
    bad = " --skip-bad bad.jsonl" if held else ""
    next_ = f"minbert train {folder / 'recipe.toml'} --run runs/{folder.name}{bad}"
    lines.append(f"wrote {folder}; NOTE.md there says why. next: {next_}")
    return lines
