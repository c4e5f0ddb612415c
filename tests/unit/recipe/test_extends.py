"""One recipe laid on another."""

from pathlib import Path
from typing import Any

import pytest

from minbert.errors import RecipeError
from minbert.optimizer import Linear
from minbert.recipe import Recipe, find_recipe, merge_tables

BASE = """\
seed = 4
[tasks.a]
kind = "classes"
text = "x"
label = "y"
train = ["1.csv", "2.csv"]
[stages.train]
lr = 1e-3
schedule = { kind = "linear", warmup = 0.3 }
losses = { a = { kind = "cross_entropy", smoothing = 0.2 } }
"""


@pytest.fixture
def load(tmp_path: Path) -> Any:
    (tmp_path / "base.toml").write_text(BASE)

    def loaded(text: str, name: str = "mine.toml") -> Recipe:
        (tmp_path / name).write_text(text)
        return Recipe.load(tmp_path / name)

    return loaded


@pytest.mark.parametrize(
    ("base", "over", "result"),
    [
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"a": {"x": 1, "y": 2}}, {"a": {"y": 3}}, {"a": {"x": 1, "y": 3}}),
        ({"a": {"kind": "k", "x": 1}}, {"a": {"kind": "k", "y": 2}}, {"a": {"kind": "k", "y": 2}}),
        ({"a": {"kind": "k", "x": 1}}, {"a": {"x": 2}}, {"a": {"kind": "k", "x": 2}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": {"x": 1}}, {"a": 0}, {"a": 0}),
        ({"a": 0}, {"a": {"x": 1}}, {"a": {"x": 1}}),
    ],
)
def test_tables_merge_and_everything_else_replaces(base: Any, over: Any, result: Any) -> None:
    merge_tables(base, over)
    assert base == result


def test_what_is_not_named_stays(load: Any) -> None:
    recipe = load('extends = "base.toml"\n[tasks.a]\nlimit = 9\ntrain = "3.csv"\n[stages.train]\nepochs = 1\n')
    assert (recipe.seed, recipe.tasks["a"].limit, recipe.tasks["a"].train) == (4, 9, ("3.csv",))
    assert (recipe.stages["train"].lr, recipe.stages["train"].epochs) == (1e-3, 1)


def test_a_name_replaces_a_table_with_a_kind_and_a_table_without_one_changes_it(load: Any) -> None:
    assert load('extends = "base.toml"\n[stages.train]\nschedule = "linear"\n').stages["train"].schedule == Linear()
    changed = load('extends = "base.toml"\n[stages.train.schedule]\nwarmup = 0.4\n').stages["train"].schedule
    assert changed == Linear(warmup=0.4)


def test_stages_run_in_file_order_those_of_the_parent_first(load: Any) -> None:
    recipe = load('extends = "base.toml"\n[stages.zeta]\n[stages.alpha]\n')
    assert list(recipe.stages) == ["train", "zeta", "alpha"]


def test_a_chain_through_folders(load: Any, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    load('extends = "base.toml"\nseed = 5\n', "middle.toml")
    recipe = load('extends = "../middle.toml"\n[stages.train]\nlr = 2e-3\n', "deep/leaf.toml")
    assert (recipe.seed, recipe.stages["train"].lr, recipe.stages["train"].schedule) == (5, 2e-3, Linear(warmup=0.3))


def test_a_recipe_of_the_package_can_be_extended_by_name(load: Any) -> None:
    assert list(load('extends = "quick"\nseed = 9\n').tasks) == list(Recipe.load("quick").tasks)


def test_a_fault_is_named_in_the_file_that_has_it(load: Any, tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text(BASE.replace("1e-3", "-1"))
    with pytest.raises(RecipeError) as caught:
        load('extends = "base.toml"\n[stages.train]\nepochs = 0\n')
    starts = [fault.removeprefix(f"{tmp_path}/").split(": ")[:2] for fault in caught.value.faults]
    assert sorted(starts) == [["base.toml:8", "stages.train.lr"], ["mine.toml:3", "stages.train.epochs"]]


@pytest.mark.parametrize("files", [1, 2, 3])
def test_a_cycle_is_named_with_its_way(load: Any, tmp_path: Path, files: int) -> None:
    for number in range(1, files):
        (tmp_path / f"{number}.toml").write_text(f'extends = "{number + 1 if number + 1 < files else "mine"}.toml"\n')
    with pytest.raises(RecipeError) as caught:
        load(f'extends = "{"1" if files > 1 else "mine"}.toml"\n')
    assert "extends itself" in str(caught.value)
    assert all(str(tmp_path / f"{number}.toml") in str(caught.value) for number in range(1, files))


@pytest.mark.parametrize("parent", ['"nowhere.toml"', '"quik"', "3", '["base.toml"]'])
def test_a_parent_that_is_not_there_is_named_with_its_line(load: Any, tmp_path: Path, parent: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load(f"# mine\nextends = {parent}\n")
    message = str(caught.value).removeprefix(f"{tmp_path}/")
    assert message.startswith("mine.toml:2: extends: recipe ") and "found neither" in message
    assert ("did you mean 'quick'" in message) == (parent == '"quik"')


def test_a_parent_in_another_encoding_is_named(load: Any, tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_bytes('# für "a"'.encode("latin-1"))
    with pytest.raises(RecipeError, match=r"base\.toml: expected a TOML file in UTF-8"):
        load('extends = "base.toml"\n')


def test_a_name_of_the_package_is_found_with_and_without_suffix() -> None:
    assert find_recipe("quick") == find_recipe("quick.toml")
    with pytest.raises(RecipeError, match="did you mean 'report/row-7'"):
        find_recipe("report/row-77")
