"""Short names for reading a recipe."""

from collections.abc import Sequence
from pathlib import Path

from minbert.recipe.schema import Recipe
from minbert.recipe.toml import Layer, Table


def load_recipe(name: str | Path, sets: Sequence[str] = ()) -> Recipe:
    """`Recipe.load`."""
    return Recipe.load(name, sets)


def check_recipe(table: Table, folder: Path, layers: Sequence[Layer] = ()) -> Recipe:
    """`Recipe.check`."""
    return Recipe.check(table, folder, layers)
