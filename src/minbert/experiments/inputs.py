"""What runs are given besides their recipes; and what can be told of it before the first: whether it is there."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from minbert.encoder import resolve
from minbert.errors import DataError, InputError
from minbert.recipe import Recipe
from minbert.training.setup import finder
from minbert.training.teachers import find_teachers


@dataclass(frozen=True)
class Given:
    """What every run is given besides its recipe.

    Attributes:
        data: where the recipes' files are; None: their own folder, then MINBERT_DATA.
        device: `auto`, `cpu`, `cuda`, ...
        skip_bad: where rejected rows are written; None: a bad row is an error.
        start: a run to go on from, by which the recipes are continued; None: none.
        tensorboard: whether each run writes its course for TensorBoard.
    """

    data: Path | None = None
    device: str = "auto"
    skip_bad: Path | None = None
    start: Path | None = None
    tensorboard: bool = False


def check_inputs(recipes: Iterable[Recipe], given: Given) -> None:
    """Looks for the files, encoders and teachers that some recipes name.

    Args:
        recipes: of the arms.
        given: where their files are.

    Raises:
        DataError: names all that is missing, once.
    """
    faults: dict[str, None] = {}
    recipes = list(recipes)
    for recipe in recipes:
        find = finder(recipe, given.data)
        for task in recipe.tasks.values():
            dev = task.dev if isinstance(task.dev, tuple) else ()
            for name in (*task.train, *dev, *task.test):
                try:
                    find(name)
                except DataError as fault:
                    faults.update(dict.fromkeys(fault.faults))
    for source, digest, folder in {(r.encoder.source, r.encoder.digest, r.folder) for r in recipes}:
        try:
            resolve(source, digest, folder)
        except InputError as fault:
            faults.update(dict.fromkeys(fault.faults))
    for recipe in recipes:
        try:
            find_teachers(recipe, recipe.tasks)
        except InputError as fault:
            faults.update(dict.fromkeys(fault.faults))
    if faults:
        raise DataError(list(faults))
