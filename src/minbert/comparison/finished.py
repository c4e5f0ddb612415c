"""A finished run as a comparison sees it: who it is, and what it answered on dev."""

import hashlib
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from minbert.errors import RunError
from minbert.recipe.toml import dotted
from minbert.runs import Run
from minbert.tasks import Task
from minbert.training.answers import Answered, read_answers, read_tasks

SEED = re.compile(r"\Aseed = \d+$", re.MULTILINE)


@dataclass(frozen=True)
class Rows:
    """One run on the dev rows of one task.

    Attributes:
        identity: the same for runs on the same rows: a digest of labels and files.
        labels: (rows,).
        answers: in the labels' unit, (rows,).
        leaked: rows that train gives away, (rows,).
    """

    identity: str
    labels: npt.NDArray[Any]
    answers: npt.NDArray[Any]
    leaked: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class FinishedRun:
    """What a finished run is and answered.

    Attributes:
        folder: where it stands.
        recipe: SHA-256 of its recipe with seed 0, so that the runs of an arm share it.
        identity: the same for runs that differ in nothing but the seed: recipe, encoder, own methods.
        settings: the recipe as dotted paths and values, without the seed.
        result: `result.json`.
        environment: of `run.json`.
        tasks: what they are.
        rows: by task; a task that nothing scored is left out.
    """

    folder: Path
    recipe: str
    identity: str
    settings: dict[str, Any]
    result: dict[str, Any]
    environment: dict[str, Any]
    tasks: dict[str, Task]
    rows: dict[str, Rows]

    @property
    def seed(self) -> int:
        """The seed of everything random in it."""
        return int(self.result["seed"])


def read_finished(folder: Path) -> FinishedRun:
    """A run that has ended.

    Raises:
        RunError: it is missing, unfinished or damaged.
    """
    run = Run(folder)
    result, record = run.read("result.json"), run.read("run.json")
    text = (folder / "recipe.toml").read_text(encoding="utf-8") if run.begun else ""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        raise RunError(f"{folder / 'recipe.toml'}: expected a recipe, found: {fault}; the file is damaged") from None
    settings = {path: value for path, value in dotted(table).items() if path != "seed"}
    recipe = _digest(SEED.sub("seed = 0", text))
    tasks, answers = read_tasks(folder), read_answers(folder)
    try:
        identity = _digest(recipe, record["encoder"]["sha256"], repr(sorted(record["methods"].items())))
        files = {name: record["files"][name] for name in tasks}
    except KeyError as fault:
        raise RunError(f"{folder / 'run.json'}: expected {fault}, found none; the file is damaged") from None
    seed = str(result["seed"])
    rows = {
        name: _rows(task, answers[name]["dev"], files[name], seed) for name, task in tasks.items() if name in answers
    }
    return FinishedRun(folder, recipe, identity, settings, result, record["environment"], tasks, rows)


def _rows(task: Task, dev: Answered, files: dict[str, Any], seed: str) -> Rows:
    """The rows, recognised by their labels, by files and columns, and where they were drawn by the seed."""
    labels = dev.labels.numpy()
    digests = [file["sha256"] for file in files.get("dev") or files["train"]]
    # A limit that dev does not reach draws nothing.
    drawn = [seed] if 0 < task.limit <= len(labels) or not task.files.get("dev") else []
    return Rows(
        _digest(labels.tobytes().hex(), *task.text, *drawn, *digests), labels, task.answers(dev.scores), dev.leaked
    )


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
