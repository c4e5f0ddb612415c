"""What a page is made of: everything that a run folder says, and the rows of dev if they can still be read."""

import json
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minbert.errors import DataError, MinbertError, RunError
from minbert.runs import Run, read_lines
from minbert.tasks import Split, Task, TaskData, load_task
from minbert.training.answers import FILE as ANSWERS
from minbert.training.answers import Answered, Answers, read_answers, read_tasks
from minbert.training.conflicts import FILE as CONFLICTS
from minbert.training.recorded import recorded_files


@dataclass(frozen=True)
class Material:
    """A finished run.

    Attributes:
        folder: of the run.
        result: result.json.
        record: run.json.
        recipe: recipe.toml.
        lines: of metrics.jsonl.
        times: of times.jsonl.
        conflicts: of conflicts.jsonl; may be empty.
        tasks: by name, with their classes.
        answers: of the best checkpoint; empty where the run did not keep them.
        rows: of dev, by task; empty where they cannot be read.
        digests: of the best checkpoint's files.
        missing: why parts are not there, by part: `answers`, `rows`.
    """

    folder: Path
    result: dict[str, Any]
    record: dict[str, Any]
    recipe: str
    lines: list[dict[str, Any]]
    times: list[dict[str, Any]]
    conflicts: list[dict[str, Any]]
    tasks: dict[str, Task]
    answers: Answers
    rows: dict[str, Split]
    digests: dict[str, str]
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def metrics(self) -> dict[str, str]:
        """The metric that counts, by task."""
        return {name: str(task["metric"]) for name, task in self.result["tasks"].items()}

    def answered(self, *kinds: str) -> dict[str, dict[str, Answered]]:
        """The answers by split of the tasks of these kinds that were answered on dev, in the recipe's order."""
        names = [name for name, task in self.tasks.items() if task.kind in kinds]
        return {name: self.answers[name] for name in names if "dev" in self.answers.get(name, {})}

    @property
    def unanswered(self) -> str:
        """Why there are no answers to show."""
        return self.missing.get("answers", "no such task was scored")

    @property
    def epochs(self) -> list[dict[str, Any]]:
        """The lines of the epochs."""
        return [line for line in self.lines if line["event"] == "epoch"]


def gather(folder: Path, data: Path | None = None) -> Material:
    """Reads a finished run.

    Args:
        folder: of the run.
        data: where its files are now; None: where they were.

    Raises:
        RunError: the run is missing or not finished.
    """
    run = Run(folder)
    result, record = run.read("result.json"), run.read("run.json")
    missing: dict[str, str] = {}
    answers: Answers = {}
    rows: dict[str, Split] = {}
    best = run.valid("best")
    tasks = read_tasks(folder) if best else {}
    try:
        answers = read_answers(folder)
    except RunError as fault:
        missing["answers"] = _said(fault, folder)
    if not (folder / ANSWERS).exists():
        missing["answers"] = f"the run kept no {ANSWERS}: an earlier version of minbert made it"
    try:
        rows = dev_rows(tasks, result, record, data)
        _check_rows(rows, answers)
    except DataError as fault:
        rows, missing["rows"] = {}, _said(fault, folder)
    return Material(
        folder,
        result,
        record,
        (folder / "recipe.toml").read_text(encoding="utf-8"),
        read_lines(folder / "metrics.jsonl"),
        read_lines(folder / "times.jsonl"),
        read_lines(folder / CONFLICTS),
        tasks,
        answers,
        rows,
        json.loads((best / "manifest.json").read_text()) if best else {},
        missing,
    )


def _said(fault: MinbertError, folder: Path) -> str:
    """An error without the folders of this machine: a page is handed on."""
    lines = str(fault).replace(f"{folder}/", "").splitlines()
    return lines[0] + (f" (and {len(lines) - 1:,} more)" if len(lines) > 1 else "")


def dev_rows(
    tasks: dict[str, Task], result: dict[str, Any], record: dict[str, Any], data: Path | None
) -> dict[str, Split]:
    """The rows of dev as the run had them.

    Raises:
        DataError: a file is gone, or is another one than it was.
    """
    select = 0.0 if result["selected_on"] == "dev" else float(result["selected_on"])
    found: dict[str, TaskData] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, task in tasks.items():
            find = recorded_files(record, name, task, data, lambda place: place.name)
            # The run may have left bad rows out; whether these are its rows is checked against its labels.
            bad = Path(folder) / "bad.jsonl"
            found[name] = load_task(name, task, find, result["seed"], select, bad, found.values())
    return {name: data.splits["dev"] for name, data in found.items()}


def _check_rows(rows: dict[str, Split], answers: Answers) -> None:
    """Whether the rows are those that were answered.

    Raises:
        DataError: they are not.
    """
    for name, splits in answers.items():
        labels = splits["dev"].labels
        if len(rows[name]) != len(labels) or not rows[name].labels.to(labels.dtype).equal(labels):
            raise DataError(f"{name}: expected the rows of dev that the run answered, found others")
