"""Cleaned copies of train, and a recipe that reads them. Dev and test stay what they are: they are the yardstick."""

import json
import os
from collections import Counter
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from minbert.audit.check import Audit
from minbert.audit.dropping import WHY, Dropped, dropped_rows
from minbert.audit.parts import Part
from minbert.encoder.sources import KNOWN
from minbert.errors import DataError
from minbert.recipe import Recipe
from minbert.storage import write_folder
from minbert.tasks import Task
from minbert.text.format import Format
from minbert.text.lines import Fault, Lines
from minbert.text.readers import format_of

RECIPE, NOTE, ROWS = "recipe.toml", "NOTE.md", "dropped.jsonl"


@dataclass(frozen=True)
class Copies:
    """What is written for a task.

    Attributes:
        task: as the new recipe has it.
        files: for each new file the file it is copied from, and the lines on which the rows to keep begin.
        dropped: what is left out of train.
        kept: how many rows are kept in train.
    """

    task: Task
    files: dict[str, tuple[Path, set[int]]]
    dropped: list[Dropped]
    kept: int


def check_target(target: Path) -> None:
    """Refuses a folder that holds something.

    Raises:
        DataError: it is a file, or not empty.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise DataError(f"{target}: expected a new or an empty folder for --fix, found something there; name another")


def fix(recipe: Recipe, audit: Audit, target: Path) -> dict[str, Any]:
    """Writes cleaned copies of all train files, a recipe over them, and a note of what was left out.

    A dev split that the recipe takes as a share of train becomes a file too, so that it stays the one that was checked.

    Args:
        recipe: that was checked.
        audit: of it, with all of train in the train split (no share for `select`).
        target: a folder that is new or empty.

    Returns:
        By task: rows `kept`, and the `dropped` by reason.

    Raises:
        DataError: the folder is not empty, or nothing would be left of a task.
    """
    target = target.resolve()
    check_target(target)
    copies = {part.task: _copies(recipe, audit, part, target) for part in audit.parts if part.split == "train"}
    empty = [f"{name}: expected rows that may stay, found that all {len(c.dropped):,} leak or disagree"
             for name, c in copies.items() if not c.kept]  # fmt: skip
    if empty:
        raise DataError(empty)

    def write(folder: Path) -> None:
        for copy in copies.values():
            for name, (source, lines) in copy.files.items():
                copy_rows(source, folder / name, copy.task, lines)
        (folder / RECIPE).write_text(_recipe(recipe, copies, target), encoding="utf-8")
        (folder / NOTE).write_text(_note(copies), encoding="utf-8")
        rows = [json.dumps(asdict(row), ensure_ascii=False) for copy in copies.values() for row in copy.dropped]
        (folder / ROWS).write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")

    write_folder(target, write)
    return {
        name: {"kept": copy.kept, "dropped": dict(Counter(row.reason for row in copy.dropped))}
        for name, copy in copies.items()
    }


def _copies(recipe: Recipe, audit: Audit, train: Part, target: Path) -> Copies:
    """What to write for a task."""
    name, data = train.task, audit.reading.tasks[train.task]
    gone = dropped_rows(audit, train)
    kept = [place for row, place in enumerate(train.rows.places) if row not in gone]
    files, named = _files(name, "", data.files["train"], kept)
    new: dict[str, Any] = {"train": named, "limit": recipe.tasks[name].limit}
    if "dev" in data.files:
        new["dev"] = tuple(os.path.relpath(path.resolve(), target) for path in data.files["dev"])
    else:
        held, new["dev"] = _files(name, "dev-", data.files["train"], data.splits["dev"].places)
        files |= held
    new["test"] = tuple(os.path.relpath(path.resolve(), target) for path in data.files.get("test", ()))
    broken = [b for b in audit.reading.broken if (b.task, b.split) == (name, "train")]
    dropped = [Dropped(name, b.place, "broken", "") for b in broken] + [gone[row] for row in sorted(gone)]
    return Copies(data.task.model_copy(update=new), files, dropped, len(kept))


def _files(
    task: str, prefix: str, sources: tuple[Path, ...], places: list[str] | tuple[str, ...]
) -> tuple[dict[str, tuple[Path, set[int]]], tuple[str, ...]]:
    """New names for the files that rows are kept of."""
    lines: dict[Path, set[int]] = {path: set() for path in sources}
    for place in places:
        file, _, line = place.rpartition(":")
        lines[Path(file)].add(int(line))
    found = {}
    for number, (path, kept) in enumerate(lines.items()):
        again = f"{number + 1}-" if [other.name for other in lines].count(path.name) > 1 else ""
        if kept:
            found[f"{task}/{prefix}{again}{path.name}"] = (path, kept)
    return found, tuple(found)


def copy_rows(source: Path, target: Path, task: Task, keep: set[int]) -> None:
    """Copies the header and some rows of a file, each as it stands there.

    Args:
        source: the file.
        target: its copy.
        task: how to read it.
        keep: the lines on which the rows to keep begin.
    """
    how: Format = format_of(source, task.format)
    target.parent.mkdir(exist_ok=True)
    with target.open("w", encoding=how.encoding, newline="") as file:
        with closing(Lines(source, how.encoding)) as lines:
            how.names(lines)
            file.write("".join(lines.taken))
        with closing(Lines(source, how.encoding)) as lines:
            for row in how.rows(lines, task.text, task.label):
                if not isinstance(row, Fault) and row[1] and row[0] in keep:
                    file.write("".join(lines.taken))


def _recipe(recipe: Recipe, copies: dict[str, Copies], target: Path) -> str:
    """The whole recipe, with the new files, and paths from the new folder."""
    tasks = {name: copies[name].task for name in recipe.tasks}
    encoder = recipe.encoder
    folder = recipe.folder / encoder.source
    if encoder.source not in KNOWN and folder.is_dir():
        encoder = encoder.model_copy(update={"source": os.path.relpath(folder.resolve(), target)})
    cleaned = recipe.model_copy(update={"tasks": tasks, "encoder": encoder})
    return f"# Written by `minbert data check --fix`: {NOTE} says what was left out of train.\n{cleaned.to_toml()}"


def _note(copies: dict[str, Copies]) -> str:
    """What was left out, in words."""
    lines = [
        "# What was left out of train, and why",
        "",
        "Dev and test are as they were: they are the yardstick. A dev split that was a share of train is a file now.",
        f"`{ROWS}` names every row that was left out, with file and line.",
    ]
    for name, copy in copies.items():
        counts = Counter(row.reason for row in copy.dropped)
        lines += ["", f"## {name}", "", f"{copy.kept:,} rows kept, {len(copy.dropped):,} left out:"]
        lines += [f"- {reason}, {counts[reason]:,} rows: {why}." for reason, why in WHY.items() if counts[reason]]
        lines += ["- none."] * (not copy.dropped)
    return "\n".join(lines) + "\n"
