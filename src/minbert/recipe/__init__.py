"""One frozen value is one run; TOML in, TOML out."""

from minbert.recipe.reading import check_recipe, find_recipe, load_recipe, merge_tables, parse_set
from minbert.recipe.schema import EncoderSpec, Recipe, Select
from minbert.recipe.stage import Stage

__all__ = [
    "EncoderSpec",
    "Recipe",
    "Select",
    "Stage",
    "check_recipe",
    "find_recipe",
    "load_recipe",
    "merge_tables",
    "parse_set",
]
