"""A batch that runs once more, on a real model."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.conftest import toy_table
from torch import Tensor

from minbert.recipe import check_recipe
from minbert.regularizers import Again
from minbert.text.batches import Rows
from minbert.training.again import SameBatch
from minbert.training.forward import Found, Live
from minbert.training.plan import Slot
from minbert.training.setup import Setup, set_up

ROWS = np.array([5, 2, 9, 11], dtype=np.int64)
TASKS = ["sentiment", "questions", "similarity"]


@pytest.fixture
def setup(tiny_bert: Path, toy_data: Path) -> Setup:
    table = toy_table(tiny_bert)
    table["tasks"]["similarity"]["head"] = "concat"
    made = set_up(check_recipe(table, toy_data))
    made.model.train()
    return made


def found(setup: Setup, task: str, rows: Rows = ROWS, kind: str = "simcse", seed: int = 7) -> Found:
    stage = check_recipe({**setup.recipe.model_dump(), "stages": {"s": {"regularizers": kind}}}, setup.recipe.folder)
    losses: Any = {name: () for name in setup.model.tasks}
    weights = list(setup.model.parameters())
    live = Live(setup, losses, lambda work: None, stage.stages["s"].regularizers, weights)
    ((one,),) = list(live([(Slot(task, rows), seed)]))
    return one


def again_of(setup: Setup, task: str, rows: Rows = ROWS, kind: str = "simcse", seed: int = 7) -> Again:
    again = found(setup, task, rows, kind, seed).again
    assert again is not None
    return again


@pytest.mark.parametrize("task", TASKS)
def test_the_same_mask_without_a_shift_is_the_first_pass(setup: Setup, task: str) -> None:
    one = found(setup, task)
    assert one.again is not None and one.again.kind == setup.model.tasks[task].kind
    nothing = torch.zeros_like(one.again.noise())
    for scores in (one.again().scores, one.again(shift=nothing).scores):
        assert torch.allclose(scores, one.outputs.scores, atol=1e-6)
    other = one.again(mask=1).scores
    assert not torch.allclose(other, one.outputs.scores, atol=1e-3)
    assert torch.equal(other, one.again(mask=1).scores) and not torch.equal(other, one.again(mask=2).scores)


def test_a_shift_moves_the_scores_and_nothing_stays_behind(setup: Setup) -> None:
    again = again_of(setup, "questions")
    shift = again.noise().requires_grad_()
    still = [weight.detach() for weight in again.weights]
    moved = again(shift=shift, weights=still).scores
    assert not torch.allclose(moved, again().scores, atol=1e-3)
    assert again.gradient(moved.sum(), shift).any()
    assert not setup.model.encoder.blocks()[0]._forward_hooks
    assert all(weight.grad is None for weight in again.weights)


def test_other_weights_stand_in_for_one_pass_only(setup: Setup) -> None:
    again = again_of(setup, "sentiment")
    doubled = [1.1 * weight.detach() for weight in again.weights]
    before = again().scores.detach()
    there = again(weights=doubled).scores
    assert not there.requires_grad and torch.equal(again().scores, before)
    with torch.no_grad():
        for weight, value in zip(again.weights, doubled, strict=True):
            weight.copy_(value)
    assert torch.allclose(there, again().scores, atol=1e-6) and not torch.allclose(there, before, atol=1e-3)


def test_another_precision_holds_for_one_pass_only(setup: Setup) -> None:
    setup.model.encoder.precision = torch.bfloat16
    again = again_of(setup, "sentiment")
    coarse, fine = again().scores, again(precision=torch.float32).scores
    assert setup.model.encoder.precision == torch.bfloat16 == again.precision
    assert not torch.equal(coarse, fine) and torch.allclose(coarse, fine, atol=0.1)


def noise_by_row(setup: Setup, rows: Rows) -> dict[tuple[int, int], Tensor]:
    again = again_of(setup, "similarity", rows)
    assert isinstance(again, SameBatch)
    noise, pack = again.noise(), again.batch.pack
    assert noise.shape == (len(pack.ids), setup.model.encoder.width)
    bounds = pack.offsets.tolist()
    places = enumerate(pack.index.tolist())
    return {(int(rows[n % len(rows)]), n // len(rows)): noise[bounds[p] : bounds[p + 1]] for n, p in places}


def test_the_noise_of_a_row_does_not_depend_on_how_rows_are_split(setup: Setup) -> None:
    whole = noise_by_row(setup, ROWS)
    parts = noise_by_row(setup, ROWS[:1]) | noise_by_row(setup, ROWS[1:])
    assert whole.keys() == parts.keys() and len(whole) == 2 * len(ROWS)
    assert all(torch.equal(whole[key], parts[key]) for key in whole)
    values = torch.cat([noise.flatten() for noise in whole.values()])
    assert abs(float(values.mean())) < 0.1 and abs(float(values.std()) - 1) < 0.1


@pytest.mark.parametrize(("task", "texts"), [("sentiment", 1), ("questions", 2), ("similarity", 2)])
def test_texts_are_pooled_one_by_one(setup: Setup, task: str, texts: int) -> None:
    again = again_of(setup, task)
    first, second = again.texts(), again.texts(mask=1)
    assert first.shape == second.shape == (texts * len(ROWS), setup.model.encoder.width)
    assert not torch.allclose(first, second, atol=1e-3) and torch.equal(second, again.texts(mask=1))
    assert len(again.hashes) == len(first)
    hashes = setup.texts[task, "train"].hashes[torch.from_numpy(ROWS)]
    assert again.hashes.tolist() == [number for column in hashes.T.tolist() for number in column]


def test_without_a_regularizer_for_its_task_a_batch_runs_once(setup: Setup) -> None:
    assert found(setup, "sentiment", kind="r_drop").again is not None
    only: Any = {"kind": "r_drop", "tasks": "questions"}
    assert found(setup, "sentiment", kind=only).again is None
