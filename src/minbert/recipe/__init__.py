"""One frozen value is one run; TOML in, TOML out."""

from minbert.recipe.reading import check_recipe, load_recipe
from minbert.recipe.schema import EncoderSpec, Recipe, Select
from minbert.recipe.stage import Stage
from minbert.recipe.toml import (
    Layer,
    find_named,
    find_recipe,
    lay_sets,
    line_of,
    merge_tables,
    parse_set,
    read_extended,
    read_toml,
)

__all__ = [
    "EncoderSpec",
    "Layer",
    "Recipe",
    "Select",
    "Stage",
    "check_recipe",
    "find_named",
    "find_recipe",
    "lay_sets",
    "line_of",
    "load_recipe",
    "merge_tables",
    "parse_set",
    "read_extended",
    "read_toml",
]
