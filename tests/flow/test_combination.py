"""The law of merges and weightings: without dropout a step is the same however its batches come and after a resume.

That two processes make the step of one stands in `test_distributed.py`.
"""

import copy
import signal
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.conftest import toy_table

from minbert import train
from minbert.gradients import AnyMerge, AnyWeighting
from minbert.recipe import Stage, check_recipe
from minbert.runs import read_lines
from minbert.training import Interrupted, Listener
from minbert.training import forward as forward_module
from minbert.training.forward import Live
from minbert.training.plan import Slot
from minbert.training.setup import Setup, set_up
from minbert.training.step import Stepper
from minbert.training.trainable import trainable

MERGES = list(AnyMerge.__metadata__[0].members)  # type: ignore[attr-defined]
WEIGHTINGS = list(AnyWeighting.__metadata__[0].members)  # type: ignore[attr-defined]
PAIRS = [(merge, WEIGHTINGS[place % len(WEIGHTINGS)]) for place, merge in enumerate(MERGES)]
PAIRS += [("sum", weighting) for weighting in WEIGHTINGS[1:]]
COUPLED = {"questions": ["bce", "mnr"], "similarity": ["mse", "mnr"]}


@pytest.fixture(scope="module")
def setup(tiny_bert: Path) -> Setup:
    """The demo's first rows and a model, without dropout."""
    table = toy_table(tiny_bert)
    table["encoder"]["dropout"] = 0.0
    for task in table["tasks"].values():
        task |= {"head": {"kind": "linear", "dropout": 0.0}, "limit": 48}
    return set_up(check_recipe(table, Path(str(resources.files("minbert") / "demo"))))


def steps(setup: Setup, made: list[list[tuple[str, range]]], **given: Any) -> list[torch.Tensor]:
    """The weights after steps on given rows."""
    stage = Stage(**{"mixture": "round_robin", "batches_per_step": 3, "lr": 1e-3, **given})
    assert not stage.faults(setup.recipe.tasks)
    model = copy.deepcopy(setup.model)
    mine = replace(setup, model=model)
    losses = {name: stage.losses_of(name, task) for name, task in model.tasks.items()}
    shared, heads = trainable(mine, stage, list(losses))
    every_head = [parameter for parameters in heads.values() for parameter in parameters]
    optimizer = stage.optimizer.build([(stage.lr, [*shared, *every_head])])  # type: ignore[attr-defined]
    stepper = Stepper(
        stage, "train", 0, losses, (shared, every_head), optimizer, Live(mine, losses, lambda work: None)
    )
    model.train()
    for number, slots in enumerate(made):
        stepper(number, 3 * len(made), [Slot(task, torch.tensor(rows).numpy()) for task, rows in slots])
    return [parameter.detach().clone() for parameter in stepper.trained]


def away(one: list[torch.Tensor], other: list[torch.Tensor]) -> float:
    return max(float((a - b).abs().max()) for a, b in zip(one, other, strict=True))


TASKS = ("sentiment", "questions", "similarity")
WHOLE = [[(task, range(16 * n, 16 * n + 16)) for task in TASKS] for n in range(3)]
"""Three steps of one batch of 16 of each task."""


@pytest.mark.parametrize(("merge", "weighting"), PAIRS)
def test_two_half_batches_with_half_the_weight_are_one(setup: Setup, merge: str, weighting: str) -> None:
    halves = [[(task, rows[half : half + 8]) for half in (0, 8) for task, rows in step] for step in WHOLE]
    one = steps(setup, WHOLE, merge=merge, weighting=weighting)
    two = steps(setup, halves, merge=merge, weighting=weighting, weight=0.5)
    assert away(one, two) < 2e-5
    if (merge, weighting) not in (("sum", "equal"), ("sum", "dwa")):
        assert away(one, steps(setup, WHOLE)) > 1e-5


@pytest.mark.parametrize(("merge", "weighting"), PAIRS)
def test_coupled_batches_may_go_through_the_encoder_one_by_one(
    setup: Setup, merge: str, weighting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = {"merge": merge, "weighting": weighting, "losses": COUPLED}
    twice = [[*step, *after] for step, after in zip(WHOLE, WHOLE[1:], strict=False)]
    together = steps(setup, twice, **method)
    monkeypatch.setattr(forward_module, "BUDGET", 1)
    assert away(together, steps(setup, twice, **method)) < 2e-5


class Stopping(Listener):
    """Asks the run to stop at the n-th piece of work."""

    def __init__(self, left: int) -> None:
        self.left = left

    def advance(self, work: int) -> None:
        self.left -= 1
        if not self.left:
            signal.raise_signal(signal.SIGTERM)


@pytest.mark.parametrize(
    ("merge", "weighting"), [("gradvac", "famo"), ("gradvac", "gradnorm"), ("sum", "dwa"), ("pcgrad", "uncertainty")]
)
def test_a_resumed_run_remembers(tiny_bert: Path, toy_data: Path, tmp_path: Path, merge: str, weighting: str) -> None:
    # Three epochs of eight steps of two batches, so that a task is often absent.
    made = toy_table(tiny_bert, merge=merge, weighting=weighting, epochs=3, batch=9, batches_per_step=2)
    recipe = check_recipe(made, toy_data)
    train(recipe, tmp_path / "whole", with_floors=False)
    for times, left in enumerate((7, 45)):
        with pytest.raises(Interrupted):
            train(recipe, tmp_path / "run", resume=bool(times), listener=Stopping(left), with_floors=False)
    train(recipe, tmp_path / "run", resume=True, with_floors=False)
    for name in ("metrics.jsonl", "last/heads.safetensors", "last/encoder/model.safetensors"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    assert len(read_lines(tmp_path / "run" / "metrics.jsonl")) == 3
