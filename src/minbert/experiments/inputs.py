"""What can be told of data and weights before the first run: whether they are there."""

from collections.abc import Iterable
from pathlib import Path

from minbert.encoder import resolve
from minbert.errors import DataError, InputError
from minbert.recipe import Recipe
from minbert.training.setup import finder


def check_inputs(recipes: Iterable[Recipe], data: Path | None = None) -> None:
    """Looks for the files and encoders that some recipes name.

    Args:
        recipes: of the arms.
        data: where their files are; None: their own folder, then MINBERT_DATA.

    Raises:
        DataError: names all that is missing, once.
    """
    faults: dict[str, None] = {}
    for recipe in recipes:
        find = finder(recipe, data)
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
    if faults:
        raise DataError(list(faults))
