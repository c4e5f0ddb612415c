"""Adapters, rates by layer and unfreezing in a recipe: what is read, written, and refused."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from minbert.encoder.adapters import Lora, Pal
from minbert.errors import RecipeError
from minbert.recipe import Recipe, check_recipe


def recipe_of(adapters: Any = (), **stage: Any) -> Recipe:
    task = {"kind": "classes", "text": "x", "label": "y", "train": "t.csv"}
    encoder = {} if adapters == () else {"adapters": adapters}
    return check_recipe({"tasks": {"a": task}, "encoder": encoder, "stages": {"s": stage}}, Path("here"))


def test_nothing_said_is_no_adapter_and_one_rate_and_all_layers_at_once() -> None:
    recipe = recipe_of()
    stage = recipe.stages["s"]
    assert recipe.encoder.adapters == () and stage.update == ("encoder", "adapters", "heads")
    assert (stage.adapter_lr, stage.lr_decay, stage.unfreeze) == (0, 1, 0)


def test_one_adapter_is_a_list_of_one() -> None:
    assert recipe_of("lora").encoder.adapters == (Lora(rank=8, alpha=16, on=("query", "value")),)
    assert recipe_of([{"kind": "pal", "width": 12}]).encoder.adapters == (Pal(width=12, heads=6),)


def test_toml_out_and_in() -> None:
    given = ["pal", {"kind": "lora", "rank": 4, "on": ["up", "down"]}]
    recipe = recipe_of(given, update=["adapters", "heads"], adapter_lr=1e-3)
    again = check_recipe(tomllib.loads(recipe.to_toml()), Path("here"))
    assert again == recipe and again.to_toml() == recipe.to_toml() and again.digest == recipe.digest
    plain = recipe_of(lr_decay=0.9, unfreeze=0.3)
    assert check_recipe(tomllib.loads(plain.to_toml()), Path("here")) == plain


@pytest.mark.parametrize(
    ("adapters", "stage", "said"),
    [
        (["lore"], {}, r"encoder\.adapters: unknown kind 'lore'; did you mean 'lora'\? known: lora, pal"),
        ([{"kind": "lora", "rank": 0}], {}, r"encoder\.adapters\.rank: input should be greater than .* 1, found 0"),
        ({"kind": "lora", "on": "queries"}, {}, r"^encoder\.adapters: input should be 'query', .*, found 'queries'$"),
        ({"kind": "lora", "on": []}, {}, r"expected one matrix or more in `on`, found none"),
        ({"kind": "pal", "width": 200}, {}, r"expected a width that is a multiple of 6 heads, found 200"),
        (["lora", {"kind": "lora", "rank": 2}], {}, r"adapters: expected each kind once, found 'lora' 2 times"),
        ("pal", {"update": "heads"}, r"encoder\.adapters: expected a stage that trains them, found none"),
        ((), {"update": ["adapters", "heads"]}, r"stages\.s\.update: expected adapters to train, found encoder\.adap"),
        ((), {"update": ["adaptors"]}, r"update.*: expected 'encoder', .*, 'adapters' or 'heads', found 'adaptors'"),
        ((), {"update": "heads", "lr_decay": 0.9}, r"stages\.s\.lr_decay: expected 'encoder' in update, found"),
        ((), {"update": "heads", "unfreeze": 0.5}, r"stages\.s\.unfreeze: expected 'encoder' in update"),
        ((), {"lr_decay": 0}, r"stages\.s\.lr_decay: input should be greater than 0, found 0"),
        ((), {"unfreeze": 1.5}, r"stages\.s\.unfreeze: input should be less than or equal to 1, found 1\.5"),
        ((), {"adapter_lr": -1}, r"stages\.s\.adapter_lr: input should be greater than or equal to 0, found -1"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said(adapters: Any, stage: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        recipe_of(adapters, **stage)


def test_all_faults_come_at_once() -> None:
    with pytest.raises(RecipeError) as caught:
        recipe_of(["pal", "pal"], update="heads", lr_decay=0.5)
    assert len(caught.value.faults) == 3
