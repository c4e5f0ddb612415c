"""What the tasks of a stage learn from besides their labels: found and checked before anything is written."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minbert.checkpoint import read_settings
from minbert.encoder import Pooling, Source, for_embeddings, resolve
from minbert.errors import InputError, RecipeError, RunError
from minbert.inference import checkpoint_of
from minbert.recipe import Recipe
from minbert.storage import MANIFEST, digest_of, stands, valid_folder
from minbert.tasks import Classes, Rating, Task


@dataclass(frozen=True)
class Teacher:
    """A trained model, or an encoder alone, that a task learns from.

    Attributes:
        path: where it is, or the name of the encoder.
        folder: the checkpoint; None: an encoder alone.
        source: the encoder's files.
        task: the checkpoint's task whose head is asked; empty: none, only embeddings.
        pooling: of its embeddings.
        asks: what the losses ask for: `scores`, `vectors`.
        digest: SHA-256 that stands for its weights and tokenizer.
    """

    path: str
    folder: Path | None
    source: Source
    task: str
    pooling: Pooling
    asks: frozenset[str]
    digest: str


Teachers = dict[tuple[str, str], Teacher]
"""By stage and task."""


def find_teachers(recipe: Recipe, tasks: dict[str, Task]) -> Teachers:
    """The teachers of all stages.

    Args:
        recipe: names them.
        tasks: with their classes, as far as they are known.

    Raises:
        RecipeError: every teacher that is missing, damaged, or lacks a task that fits.
    """
    found: Teachers = {}
    faults: list[str] = []
    for name, stage in recipe.stages.items():
        for task in stage.trained(tasks):
            asks = frozenset(loss.asks for loss in stage.losses_of(task, tasks[task])) - {"nothing"}
            if not asks:
                continue
            try:
                found[name, task] = find_teacher(stage.teachers[task], recipe.folder, task, tasks[task], asks)
            except InputError as fault:
                faults += [f"stages.{name}.teachers.{task}: {line}" for line in fault.faults]
    if faults:
        raise RecipeError(faults)
    return found


def find_teacher(named: str, base: Path, name: str, task: Task, asks: frozenset[str]) -> Teacher:
    """One teacher.

    Args:
        named: a run or checkpoint; where only embeddings are asked for also an encoder.
        base: what a relative path is relative to.
        name: of the task that learns.
        task: what it is.
        asks: what its losses ask for.

    Raises:
        InputError: the teacher is missing or damaged, or has no task that fits.
    """
    folder = base / named
    if asks == {"vectors"} and not _is_trained(folder):
        source = resolve(named, "", base)
        path = str(folder.resolve()) if folder.is_dir() else named
        how = source.usage.pooling_or("auto", source.name)
        return Teacher(path, None, source, "", how, asks, source.digest)
    if not _is_trained(folder):
        raise RunError(f"expected a run or a checkpoint at {folder}, found none; paths are relative to the recipe")
    checkpoint = valid_folder(checkpoint_of(folder))
    pooling, theirs = read_settings(checkpoint)
    head = fitting(name, task, theirs, str(folder)) if "scores" in asks else ""
    how = for_embeddings(pooling)
    source = resolve(str(checkpoint / "encoder"))
    return Teacher(str(folder.resolve()), checkpoint, source, head, how, asks, digest_of(checkpoint / MANIFEST))


def _is_trained(folder: Path) -> bool:
    return stands(folder / "best") or any((folder / file).exists() for file in ("recipe.toml", "model.json"))


def fitting(name: str, task: Task, theirs: dict[str, Task], place: str) -> str:
    """Which task of a teacher answers for a task: the one of its name, else the only one that is like it.

    Raises:
        RunError: there is none, or several are.
    """
    if name in theirs:
        if wrong := differences(task, theirs[name]):
            raise RunError([f"task {name!r} of {place}: {line}" for line in wrong])
        return name
    alike = [other for other, spec in theirs.items() if not differences(task, spec)]
    if len(alike) != 1:
        found = ", ".join(alike or theirs)
        wanted = f"expected a task {name!r} in {place}, or one of the same kind and classes"
        raise RunError(f"{wanted}, found {'several' if alike else 'only'}: {found}")
    return alike[0]


def differences(task: Task, other: Task) -> list[str]:
    """What keeps the head of another task from answering for this one: `expected ..., found ...`."""
    if task.kind != other.kind:
        return [f"expected kind {task.kind!r}, found {other.kind!r}"]
    found = []
    if task.is_pair != other.is_pair:
        found.append(f"expected {len(task.text)} text column(s), found {len(other.text)}")
    # Before the data have been read, nobody knows the classes.
    if isinstance(task, Classes) and isinstance(other, Classes) and task.labels and task.labels != other.labels:
        found.append(f"expected the classes {', '.join(task.labels)}, found {', '.join(other.labels)}")
    if isinstance(task, Rating) and isinstance(other, Rating) and task.range != other.range:
        found.append(f"expected the range {list(task.range)}, found {list(other.range)}")
    return found


def record_of(teachers: Teachers) -> dict[str, Any]:
    """What `run.json` says of the teachers, by stage and task."""
    found: dict[str, Any] = {}
    for (stage, task), teacher in teachers.items():
        said = {"path": teacher.path, "task": teacher.task, "sha256": teacher.digest}
        found.setdefault(stage, {})[task] = said
    return found
