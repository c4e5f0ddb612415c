"""TOML out and in again; digests; what a recipe made in Python may hold."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from minbert.gradients import AnyMerge, AnyWeighting, Merge, PCGrad
from minbert.heads import AnyHead
from minbert.losses import AnyLoss, Loss, Targets
from minbert.mixtures import AnyMixture
from minbert.optimizer import AnyAverage, AnySchedule
from minbert.outputs import Outputs
from minbert.recipe import EncoderSpec, Recipe, Select, Stage, check_recipe
from minbert.regularizers import AnyRegularizer
from minbert.shapes import Gram, Scalar, Weights
from minbert.tasks import Classes, Rating, YesNo


def kinds(family: Any) -> Any:
    return st.sampled_from(sorted(family.__metadata__[0].members))


words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
names = st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,8}", fullmatch=True)
rates = st.floats(1e-7, 1e3, allow_nan=False)
two_vectors = [kind for kind, head in AnyHead.__metadata__[0].members.items() if head.reads == 2]  # type: ignore[attr-defined]
files = {"train": words | st.lists(words, min_size=1, max_size=3), "label": words, "limit": st.integers(0, 99)}
optional = {"dev": words | st.floats(0.01, 0.99), "test": st.lists(words, max_size=2)}
columns = st.lists(words, min_size=2, max_size=2)
rating = st.fixed_dictionaries(
    {
        "kind": st.just("rating"),
        "text": columns,
        "range": st.tuples(st.floats(-9, 0), st.floats(1, 9)).map(list),
        **files,
    },
    optional={"head": st.sampled_from(two_vectors), "metric": st.just("spearman"), **optional},
)
classes = st.fixed_dictionaries(
    {"kind": st.just("classes"), "text": words, **files},
    optional={"labels": st.lists(words, unique=True, min_size=2, max_size=4), "format": st.just("jsonl"), **optional},
)
stages = st.fixed_dictionaries(
    {"epochs": st.integers(3, 9), "batches_per_step": st.integers(2, 5)},
    optional={
        "lr": rates,
        "batch": st.integers(1, 99),
        "mixture": st.sampled_from(["round_robin", "proportional", "annealed"])
        | st.builds(lambda t: {"kind": "temperature", "temperature": t}, st.floats(1, 99))
        | st.just({"kind": "fixed", "shares": {}}),
        "merge": kinds(AnyMerge),
        "weighting": kinds(AnyWeighting),
        "schedule": kinds(AnySchedule)
        | st.builds(lambda kind, w: {"kind": kind, "warmup": w}, kinds(AnySchedule), st.floats(0, 1)),
        "regularizers": kinds(AnyRegularizer) | st.lists(kinds(AnyRegularizer), max_size=2),
        "average": kinds(AnyAverage) | st.builds(lambda d: {"kind": "ema", "decay": d}, st.floats(0, 0.99)),
        "optimizer": st.sampled_from(["adamw", {"kind": "adamw", "towards": "start"}]),
        "update": st.sampled_from(["encoder", ["encoder[2:]", "heads"]]),
    },
)
tables = st.fixed_dictionaries(
    {"tasks": st.dictionaries(names, rating | classes, min_size=1, max_size=3)},
    optional={"seed": st.integers(0, 2**40), "stages": st.dictionaries(names, stages, min_size=1, max_size=3)},
)


@settings(deadline=None, max_examples=25)
@given(tables)
def test_toml_out_and_in_is_the_same_recipe(table: dict[str, Any]) -> None:
    recipe = check_recipe(table, Path("here"))
    again = check_recipe(tomllib.loads(recipe.to_toml()), Path("here"))
    assert again == recipe
    assert (again.digest, again.to_toml()) == (recipe.digest, recipe.to_toml())
    assert list(again.stages) == list(recipe.stages) and list(again.tasks) == list(recipe.tasks)


def recipe_of(folder: str = "here", **top: Any) -> Recipe:
    task = {"kind": "classes", "text": "x", "label": "y", "train": "t.csv"}
    return check_recipe({"tasks": {"a": task, "b": {**task, "kind": "yes_no"}}, **top}, Path(folder))


def test_the_digest_is_of_what_is_done_and_not_of_where() -> None:
    assert recipe_of("here").digest == recipe_of("there").digest
    others = [
        recipe_of(seed=1),
        recipe_of(encoder={"pooling": "cls"}),
        recipe_of(stages={"train": {"epochs": 4}}),
        recipe_of(stages={"other": {}}),
        recipe_of(select={"on": 0.1}),
    ]
    assert len({recipe_of().digest, *(other.digest for other in others)}) == 6


def test_stages_in_another_order_are_another_recipe() -> None:
    assert recipe_of(stages={"a": {}, "b": {}}).digest != recipe_of(stages={"b": {}, "a": {}}).digest


def test_shares_and_losses_go_out_and_in() -> None:
    stage = {
        "mixture": {"kind": "fixed", "shares": {"a": 2, "b": 0.5}},
        "losses": {"a": [{"kind": "focal", "gamma": 1}, "class_balanced"], "b": {"kind": "bce", "smoothing": 0.1}},
    }
    later = {"mixture": {"kind": "progress", "reach": {"a": 0.9}}}
    recipe = recipe_of(stages={"train": stage, "later": later}, select={"on": 0.1})
    again = check_recipe(tomllib.loads(recipe.to_toml()), Path("here"))
    assert again == recipe and again.stages["later"].mixture.model_dump()["reach"] == {"a": 0.9}


def test_defaults_written_out_are_the_same_recipe() -> None:
    assert recipe_of(seed=0, stages={"train": {"merge": {"kind": "sum"}}}).digest == recipe_of().digest


VALUES = [
    Stage(), Select(), EncoderSpec(), PCGrad(), recipe_of(),
    Classes(text="x", label="y", train="t"), YesNo(text="x", label="y", train="t"),
    Rating(text="x", label="y", train="t", range=(0, 1)),
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_is_frozen_and_has_no_keys_but_its_own(value: Any) -> None:
    for field in type(value).model_fields:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(value, field, getattr(value, field))
    with pytest.raises(ValidationError, match="Extra inputs"):
        type(value)(**{**value.model_dump(), "another": 1})


class Share(Merge):
    kind: str = "share"
    share: float = 1.0

    def __call__(
        self, gram: Gram, state: dict[str, Any], rng: torch.Generator, tasks: Sequence[int]
    ) -> tuple[Weights, dict[str, Any]]:
        return torch.full((len(gram),), self.share / len(gram)), state


class Zero(Loss):
    kinds = frozenset({"classes"})
    kind: str = "zero"

    def __call__(self, outputs: Outputs, targets: Targets) -> Scalar:
        return 0 * outputs.scores.sum()


def test_own_methods_are_taken_from_python_and_written_out() -> None:
    stage = {"merge": Share(share=0.5), "batches_per_step": 2, "losses": {"a": [Zero(weight=2), "cross_entropy"]}}
    recipe = recipe_of(stages={"train": stage})
    assert recipe.stages["train"].merge == Share(share=0.5)
    assert [loss.kind for loss in recipe.stages["train"].losses["a"]] == ["zero", "cross_entropy"]
    table = tomllib.loads(recipe.to_toml())["stages"]["train"]
    assert table["merge"] == {"kind": "share", "share": 0.5} and table["losses"]["a"][0] == {
        "kind": "zero",
        "weight": 2.0,
    }


@pytest.mark.parametrize("name", ["share", f"{Share.__module__}.Share", "Share"])
def test_own_methods_are_not_taken_by_name(name: str) -> None:
    with pytest.raises(ValidationError, match="unknown kind"):
        Stage(merge=name)  # type: ignore[arg-type]


def test_an_instance_of_another_family_is_not_taken() -> None:
    with pytest.raises(ValidationError, match="expected a name or a table"):
        Stage(merge=Zero())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "family", [AnyHead, AnyLoss, AnyMerge, AnyMixture, AnySchedule, AnyRegularizer, AnyAverage, AnyWeighting]
)
def test_every_member_of_a_family_goes_through_its_own_table(family: Any) -> None:
    members = family.__metadata__[0].members
    assert [member().model_dump()["kind"] for member in members.values()] == list(members)
