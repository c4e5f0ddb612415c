"""Scores of a trained model on a new labelled file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from minbert.errors import RunError
from minbert.inference import Predictor
from minbert.tasks import Classes, Split, Task
from minbert.tasks.data import label_of, labelled, left_out
from minbert.text.example import Example
from minbert.text.lines import Fault
from minbert.text.readers import collected, examples
from minbert.text.sniff_format import fitting
from minbert.values import nearest


def the_task(model: Predictor, name: str) -> str:
    """The task that is meant: the named one, or the only one.

    Raises:
        RunError: none is named and there are several, or there is none of that name.
    """
    if not name and len(model.tasks) > 1:
        raise RunError(f"--task: expected one of {', '.join(model.tasks)}, found none; say which")
    name = name or next(iter(model.tasks))
    model.task(name)
    return name


def named(tasks: dict[str, Task], name: str) -> Task:
    """A task by its name.

    Raises:
        RunError: there is none of that name.
    """
    if name not in tasks:
        raise RunError(f"task {name!r}: the run has no such task; {nearest(name, list(tasks))}")
    return tasks[name]


def test_files(record: dict[str, Any], only: str = "") -> list[tuple[str, Path]]:
    """The test files that a run's recipe names, with their tasks.

    Args:
        record: of run.json.
        only: a task; empty: all.

    Raises:
        RunError: there are none.
    """
    named = {name: splits.get("test", []) for name, splits in record["files"].items() if only in ("", name)}
    found = [(name, Path(file["path"])) for name, files in named.items() for file in files]
    if not found:
        raise RunError("--split test: the recipe names no test files; give a file with --task and --input")
    return found


def labelled_rows(
    task: Task, file: Path, skip_bad: Path | None = None, say: Callable[[str], None] = lambda line: None
) -> Split:
    """The rows of a new labelled file.

    Args:
        task: with its columns and classes.
        file: with the task's columns and labels.
        skip_bad: where rejected rows go, those with a label that the task does not know among them; None: a bad row is
            an error.
        say: hears how many these were, and of a format that had to be guessed.

    Raises:
        DataError: every fault of the file, with its line, at once.
    """
    format = fitting(file, task.text, task.label, task.format, say)
    rows = (_judged(task, file, row) for row in examples(file, task.text, task.label, format))
    bad: list[int] = []
    kept = collected(rows, file, skip_bad, bad.append)
    if any(bad):
        say(left_out(str(file), bad[0], skip_bad))
    return labelled(task, [(file, example) for example in kept], [])


def _judged(task: Task, file: Path, row: Example | Fault) -> Example | Fault:
    """A row, or the fault of a label that the task cannot read."""
    label = row if isinstance(row, Fault) else label_of(task, file, row)
    return label if isinstance(label, Fault) else row


def scores_of(name: str, task: Task, labels: Tensor, scores: Tensor) -> dict[str, Any]:
    """Every metric of a task's kind; for classes and yes/no also per class, and the confusion matrix."""
    found = {"task": name, "kind": task.kind, "rows": len(labels), "metrics": task.scores(labels, scores)}
    if task.kind != "rating":
        found |= per_class(task, labels.numpy(), task.answers(scores))
    return found


def class_names(task: Task) -> list[str]:
    """What the numbers of a task's labels stand for; empty for a rating."""
    return list(task.labels) if isinstance(task, Classes) else [] if task.kind == "rating" else ["no", "yes"]


def per_class(task: Task, labels: Any, answers: Any) -> dict[str, Any]:
    """Precision, recall, F1 and rows of each class, and the confusion matrix (rows: labels, columns: answers)."""
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    names = class_names(task)
    numbers = np.arange(len(names))
    columns = precision_recall_fscore_support(labels, answers, labels=numbers, zero_division=0)
    rows = {
        name: dict(zip(("precision", "recall", "f1", "rows"), (float(column[i]) for column in columns), strict=True))
        for i, name in enumerate(names)
    }
    return {"classes": rows, "confusion": confusion_matrix(labels, answers, labels=numbers).tolist()}
