"""Short names for reading a recipe."""

from collections.abc import Sequence
from pathlib import Path

from minbert.recipe.schema import Complete, Recipe
from minbert.recipe.toml import Layer, Table


def load_recipe(name: str | Path, sets: Sequence[str] = (), complete: Complete | None = None) -> Recipe:
    """`Recipe.load`."""
    return Recipe.load(name, sets, complete)


def check_recipe(table: Table, folder: Path, layers: Sequence[Layer] = ()) -> Recipe:
    """`Recipe.check`."""
    return Recipe.check(table, folder, layers)
