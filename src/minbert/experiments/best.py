"""The best recipe of a search as a file that can be trained."""

import os
from pathlib import Path

from minbert.experiments.inputs import Given
from minbert.recipe import Recipe
from minbert.storage import write_text


def write_recipe(recipe: Recipe, path: Path, given: Given, remark: str) -> None:
    """Writes a whole recipe; files that it names relative to its folder are named relative to the new one.

    Args:
        recipe: what is written.
        path: the new file.
        given: with a folder of data given, the data files' names stay as they are.
        remark: the first line, as a comment.
    """
    tasks = {}
    for name, task in recipe.tasks.items():
        files = {"train": task.train, "dev": task.dev, "test": task.test}
        changed = {
            key: tuple(_moved(file, recipe.folder, path.parent) for file in named)
            for key, named in files.items()
            if isinstance(named, tuple) and given.data is None
        }
        tasks[name] = task.model_copy(update=changed)
    source = _moved(recipe.encoder.source, recipe.folder, path.parent)
    encoder = recipe.encoder.model_copy(update={"source": source})
    stages = {}
    for name, stage in recipe.stages.items():
        teachers = {task: _moved(teacher, recipe.folder, path.parent) for task, teacher in stage.teachers.items()}
        stages[name] = stage.model_copy(update={"teachers": teachers})
    whole = recipe.model_copy(update={"tasks": tasks, "encoder": encoder, "stages": stages})
    write_text(path, f"# {remark}\n{whole.to_toml()}")


def _moved(name: str, old: Path, new: Path) -> str:
    """A file or folder in one folder by its path from another; what is not there, or is absolute, stays."""
    return name if Path(name).is_absolute() or not (old / name).exists() else os.path.relpath(old / name, new)
