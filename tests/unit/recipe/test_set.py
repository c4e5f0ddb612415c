"""`--set path=value`."""

from pathlib import Path
from typing import Any

import pytest

from minbert.errors import RecipeError
from minbert.optimizer import Cosine
from minbert.recipe import Recipe, parse_set
from minbert.tasks import Rating


@pytest.mark.parametrize(
    ("assignment", "table"),
    [
        ("seed=3", {"seed": 3}),
        ("stages.train.lr=3e-5", {"stages": {"train": {"lr": 3e-5}}}),
        ("stages.train.merge=pcgrad", {"stages": {"train": {"merge": "pcgrad"}}}),
        ('stages.train.merge="pcgrad"', {"stages": {"train": {"merge": "pcgrad"}}}),
        ("tasks.my-task.text=['a', 'b']", {"tasks": {"my-task": {"text": ["a", "b"]}}}),
        ("a.head={kind='linear', dropout=0}", {"a": {"head": {"kind": "linear", "dropout": 0}}}),
        ("encoder.source=owner/name@main", {"encoder": {"source": "owner/name@main"}}),
        ("tasks.a.train=dir/with space.csv", {"tasks": {"a": {"train": "dir/with space.csv"}}}),
        ("tasks.a.yes=a=b", {"tasks": {"a": {"yes": "a=b"}}}),
        (" seed = 3 ", {"seed": 3}),
        ("tasks.a.yes=", {"tasks": {"a": {"yes": ""}}}),
        ("flag=true", {"flag": True}),
    ],
)
def test_a_value_is_toml_or_else_a_plain_string(assignment: str, table: Any) -> None:
    assert parse_set(assignment) == table


@pytest.mark.parametrize("assignment", ["", "seed", "=3", "a..b=3", ".a=3", "a.=3", "a b=3", "a[0]=3", "'a'=3"])
def test_what_has_no_path_is_refused_with_an_example(assignment: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_set(assignment)
    assert str(caught.value).startswith(f"--set {assignment}: expected path=value, for example stages.train.lr=")


def test_later_ones_win_and_tables_merge() -> None:
    sets = ["seed=1", "seed=2", "stages.train.batch.sentiment=8", "stages.train.schedule={kind='cosine', warmup=0.2}"]
    recipe = Recipe.load("quick", sets)
    stage = recipe.stages["train"]
    assert recipe.seed == 2 and stage.schedule == Cosine(warmup=0.2)
    assert [stage.of("batch", task) for task in recipe.tasks] == [8, 64, 32]


def test_a_new_stage_can_be_set() -> None:
    assert list(Recipe.load("quick", ["stages.more.epochs=1"]).stages) == ["train", "more"]


def test_an_empty_table_takes_all_away_where_an_empty_header_adds_nothing(tmp_path: Path) -> None:
    assert Recipe.load("quick", ["stages={}"]).stages == {}
    file = tmp_path / "mine.toml"
    file.write_text('extends = "quick"\n[stages.train]\n')
    assert Recipe.load(file).stages == Recipe.load("quick").stages


@pytest.mark.parametrize(
    ("assignment", "path", "said"),
    [
        ("stages.train.lr=0", "stages.train.lr", "greater than 0"),
        ("stages.train.lr=fast", "stages.train.lr", "found 'fast'"),
        ("stages.train.merge=pcgrat", "stages.train.merge", "did you mean 'pcgrad'?"),
        ("stages.train.epoch=3", "stages.train.epoch", "did you mean 'epochs'?"),
        ("stagse.train.epochs=3", "stagse", "did you mean 'stages'?"),
        ("tasks.sentiment=3", "tasks.sentiment", "expected a name or a table with a `kind`"),
        ("stages.train.batch.sts=3", "stages.train.batch.sts", "expected a task of this recipe (sentiment, "),
    ],
)
def test_a_wrong_value_is_named_by_its_path(assignment: str, path: str, said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        Recipe.load("quick", [assignment])
    (fault,) = caught.value.faults
    assert fault.startswith(f"--set {assignment}: ") and said in fault
    assert path in assignment or f": {path}: " in fault


@pytest.mark.parametrize(
    ("sets", "brought"),
    [
        (["stages={}", "stages.train.lr=abc"], "stages.train.lr=abc"),
        (["stages.train={lr=1}", "stages.train.lr=abc"], "stages.train.lr=abc"),
        (["stages.train.optimizer.kind=sgd"], "stages.train.optimizer.kind=sgd"),
    ],
)
def test_the_set_that_brought_a_fault_is_named(sets: list[str], brought: str) -> None:
    with pytest.raises(RecipeError) as caught:
        Recipe.load("quick", sets)
    assert all(fault.startswith(f"--set {brought}: ") for fault in caught.value.faults)


def test_what_a_file_says_is_not_put_on_a_set(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('extends = "quick"\n[stages.train]\nlr = 0\n')
    with pytest.raises(RecipeError, match=r"mine\.toml:3: stages\.train\.lr: .*greater than 0"):
        Recipe.load(tmp_path / "mine.toml", ["stages.train.epochs=2"])


def test_a_kind_alone_keeps_the_rest_of_its_table() -> None:
    recipe = Recipe.load("quick", ["tasks.sentiment.kind=rating", "tasks.sentiment.range=[0, 4]"])
    assert isinstance(recipe.tasks["sentiment"], Rating)
    assert recipe.tasks["sentiment"].train == Recipe.load("quick").tasks["sentiment"].train
    schedule = Recipe.load("quick", ["stages.train.schedule={kind='cosine', warmup=0.2}"]).stages["train"].schedule
    other = Recipe.load(
        "quick", ["stages.train.schedule={kind='cosine', warmup=0.2}", "stages.train.schedule.kind=linear"]
    ).stages["train"]
    assert (schedule.kind, other.schedule.kind, other.schedule.warmup) == ("cosine", "linear", 0.2)  # type: ignore[attr-defined]
