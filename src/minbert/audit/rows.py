"""The rows of all tasks of a recipe; broken ones are set aside, not fatal."""

import json
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from minbert.errors import DataError
from minbert.recipe import Recipe
from minbert.tasks import Find, Task, TaskData, load_task
from minbert.training.setup import finder


@dataclass(frozen=True)
class Broken:
    """A row that could not be read.

    Attributes:
        task: whose file it stands in.
        split: `train`, `dev` or `test`: what that file is for.
        place: `file:line`.
        problem: expected, found, remedy.
    """

    task: str
    split: str
    place: str
    problem: str


@dataclass(frozen=True)
class Reading:
    """What a recipe's files hold.

    Attributes:
        tasks: the rows by task, split as training splits them.
        broken: what could not be read.
    """

    tasks: dict[str, TaskData]
    broken: tuple[Broken, ...] = ()


def read_rows(recipe: Recipe, data: Path | None = None) -> Reading:
    """Reads and splits all tasks' files. A task's `limit` is not applied: all rows are looked at.

    Args:
        recipe: names the files.
        data: where they are; None: the recipe's folder, then MINBERT_DATA.

    Raises:
        DataError: files that are missing, lack a column or have no good row: all at once.
    """
    find, share = finder(recipe, data), 0.0 if recipe.select.on == "dev" else recipe.select.on
    tasks: dict[str, TaskData] = {}
    broken: list[Broken] = []
    faults: list[str] = []
    for name, task in recipe.tasks.items():
        try:
            whole = task.model_copy(update={"limit": 0})
            tasks[name], bad = _read(name, whole, find, recipe.seed, share, tasks.values())
            broken += bad
        except DataError as fault:
            faults += fault.faults
    if faults:
        raise DataError(list(dict.fromkeys(faults)))
    return Reading(tasks, tuple(broken))


def _read(
    name: str, task: Task, find: Find, seed: int, share: float, others: Iterable[TaskData]
) -> tuple[TaskData, list[Broken]]:
    """One task's rows, and its broken ones."""
    with tempfile.TemporaryDirectory() as place:
        rejects = Path(place)
        try:
            data = load_task(name, task, find, seed, share, rejects / "bad.jsonl", others)
        except DataError:
            # Without a place for bad rows the message names the rows themselves, not a file that is gone.
            load_task(name, task, find, seed, share, None, others)
            raise
        # Remarks on rows that were left out name a file that will be gone; the rows are told one by one.
        remarks = tuple(remark for remark in data.remarks if place not in remark)
        return replace(data, remarks=remarks), _broken(name, data, sorted(rejects.glob("*.jsonl")))


def _broken(name: str, data: TaskData, rejects: Sequence[Path]) -> list[Broken]:
    """The rows that the reader set aside, in the order of files and lines."""
    splits = {str(path): split for split, paths in data.files.items() for path in paths}
    order = {file: number for number, file in enumerate(splits)}
    records = [json.loads(line) for file in rejects for line in file.read_text(encoding="utf-8").splitlines()]
    records.sort(key=lambda record: (order[record["file"]], record["line"]))
    return [Broken(name, splits[r["file"]], f"{r['file']}:{r['line']}", r["fault"]) for r in records]
