"""Learning rates by layer, and which layers move in which step."""

from pathlib import Path
from typing import Any

import pytest
from tests.conftest import toy_table

from minbert.encoder import low_rank_parameters
from minbert.recipe import check_recipe
from minbert.training.rates import rates
from minbert.training.setup import Setup, set_up
from minbert.training.trainable import moves_vectors, trainable, trained_numbers
from minbert.training.unfreezing import Unfreezing

PAL = {"kind": "pal", "width": 8, "heads": 2}


@pytest.fixture
def make(tiny_bert: Path, toy_data: Path) -> Any:
    def made(adapters: Any = (), **stage: Any) -> Setup:
        table = toy_table(tiny_bert, **stage)
        table["encoder"]["adapters"] = list(adapters)
        table["stages"]["later"] = {}
        return set_up(check_recipe(table, toy_data))

    return made


def named_rates(setup: Setup) -> dict[str, float]:
    stage = setup.recipe.stages["train"]
    shared, own = trainable(setup, stage, list(setup.data))
    of = {id(p): rate for rate, group in rates(setup.model, stage, shared, own) for p in group}
    names = {name: of.pop(id(p)) for name, p in setup.model.named_parameters() if p.requires_grad}
    assert not of
    return names


def test_without_decay_there_is_one_group_of_shared_parameters(make: Any) -> None:
    setup = make(lr=1e-3, head_lr={"questions": 1e-2})
    stage = setup.recipe.stages["train"]
    shared, own = trainable(setup, stage, list(setup.data))
    first, *rest = [(rate, group) for rate, group in rates(setup.model, stage, shared, own) if group]
    assert first == (1e-3, shared) and [rate for rate, _ in rest] == [1e-3, 1e-2, 1e-3]


def test_the_rate_falls_layer_by_layer(make: Any) -> None:
    found = named_rates(make(["lora", PAL], lr=1.0, lr_decay=0.5, head_lr=3.0, adapter_lr=7.0))
    assert {found[f"encoder.layers.1.{name}.weight"] for name in ("up", "attention.projection")} == {1.0}
    assert found["encoder.layers.0.up.bias"] == 0.5 and found["encoder.embeddings.word.weight"] == 0.25
    assert found["encoder.pooler.dense.weight"] == 1.0 and found["heads.to_questions.linear.bias"] == 3.0
    assert {rate for name, rate in found.items() if "lora" in name or name.startswith("adapters.")} == {7.0}


def test_adapters_go_as_fast_as_the_encoder_where_nothing_is_said(make: Any) -> None:
    assert set(named_rates(make(["lora", PAL], lr=0.5)).values()) == {0.5}


@pytest.mark.parametrize(
    ("adapters", "update", "moves", "begins"),
    [
        ((), ["encoder", "heads"], True, "encoder. heads."),
        ((), ["heads"], False, "heads."),
        (["lora", PAL], ["heads"], False, "heads."),
        (["lora"], ["adapters", "heads"], True, "encoder. heads."),
        ([PAL], ["adapters", "heads"], True, "adapters. heads."),
        ([PAL, "lora"], ["encoder[1:]", "adapters", "heads"], True, "encoder. adapters. heads."),
    ],
)
def test_what_is_trained(make: Any, adapters: Any, update: list[str], moves: bool, begins: str) -> None:
    setup = make(adapters, update=update)
    found = named_rates(setup)
    assert {f"{name.split('.')[0]}." for name in found} == set(begins.split())
    assert moves_vectors(setup.model) == moves
    assert len([name for name in found if "lora" in name]) == (4 if "lora" in adapters and "adapters" in update else 0)


def test_the_adapter_of_a_task_that_is_not_trained_stands_still(make: Any) -> None:
    setup = make([PAL], update=["adapters", "heads"])
    trainable(setup, setup.recipe.stages["train"], ["questions"])
    moving = {name.split(".")[1] for name, p in setup.model.named_parameters() if p.requires_grad}
    assert moving == {"to_questions"}


def test_the_numbers_that_are_trained(make: Any) -> None:
    setup = make(["lora", PAL], update=["adapters", "heads"])
    named_rates(setup)
    # LoRA: 2 layers of A (16, 32) and B (2, 32, 8). PAL of 3 tasks: 32 * 8 + 8, 8 * 32 + 32, 2 layers of 8 * 24 + 24.
    lora, pal = 2 * (16 * 32 + 2 * 32 * 8), 3 * (264 + 288 + 2 * 216)
    heads = sum(p.numel() for p in setup.model.heads.parameters())
    assert trained_numbers(setup.model).endswith(f"lora {lora:,}, tasks' adapters {pal:,}, heads {heads:,}")
    assert trained_numbers(setup.model).startswith(f"trains {lora + pal + heads:,} of ")


def test_layers_join_from_top_to_bottom_in_even_stretches(make: Any) -> None:
    setup = make(["lora"], update=["encoder", "adapters", "heads"])
    shared, _ = trainable(setup, setup.recipe.stages["train"], [])
    unfreezing = Unfreezing(setup.model.encoder, shared, 0.5)
    assert [unfreezing.moving(number, 20) for number in range(20)] == [1] * 5 + [2] * 5 + [3] * 10
    seen = []
    for number in (12, 7, 0):  # a function of the step alone: backwards as well
        unfreezing(number, 20)
        moving = {n for n, p in setup.model.encoder.named_parameters() if p.requires_grad and "lora" not in n}
        seen.append({".".join(name.split(".")[: 1 + name.startswith("layers")]) for name in moving})
        assert all(parameter.requires_grad for parameter in low_rank_parameters(setup.model.encoder))
    # The pooler belongs to no layer: whoever uses it moves it.
    assert seen == [
        {"layers.1", "layers.0", "embeddings", "pooler"},
        {"layers.1", "layers.0", "pooler"},
        {"layers.1", "pooler"},
    ]


@pytest.mark.parametrize(
    ("share", "total", "expected"), [(0.0, 3, [3, 3, 3]), (1.0, 4, [1, 1, 2, 2]), (0.1, 3, [3] * 3)]
)
def test_the_ends_of_unfreezing(make: Any, share: float, total: int, expected: list[int]) -> None:
    setup = make()
    shared, _ = trainable(setup, setup.recipe.stages["train"], [])
    unfreezing = Unfreezing(setup.model.encoder, shared, share)
    assert [unfreezing.moving(number, total) for number in range(total)] == expected


def test_layers_that_the_stage_does_not_train_never_join(make: Any) -> None:
    setup = make(update=["encoder[1:]", "heads"])
    shared, _ = trainable(setup, setup.recipe.stages["train"], [])
    unfreezing = Unfreezing(setup.model.encoder, shared, 1.0)
    unfreezing(9, 10)
    assert not setup.model.encoder.layers[0].up.weight.requires_grad
    assert [unfreezing.moving(number, 10) for number in (0, 9)] == [1, 1]
