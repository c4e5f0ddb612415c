"""The law of merges and weightings: without dropout a step is the same however its batches come and after a resume.

That two processes make the step of one stands in `test_distributed.py`.
"""

import copy
import signal
from dataclasses import replace
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.conftest import toy_table

from minbert import train
from minbert.gradients import AnyMerge, AnyWeighting
from minbert.losses import CrossEntropy
from minbert.recipe import Stage, check_recipe
from minbert.recipe.misfits import stage_faults
from minbert.runs import Silent, read_lines
from minbert.training import Interrupted, Listener
from minbert.training import forward as forward_module
from minbert.training.combination import Combination
from minbert.training.conflicts import ConflictRecord, layer_groups
from minbert.training.forward import Live
from minbert.training.plan import Slot
from minbert.training.setup import Setup, set_up
from minbert.training.step import Stepper
from minbert.training.trainable import trainable

MERGES = list(AnyMerge.__metadata__[0].members)  # type: ignore[attr-defined]
WEIGHTINGS = list(AnyWeighting.__metadata__[0].members)  # type: ignore[attr-defined]
PAIRS = [(merge, WEIGHTINGS[place % len(WEIGHTINGS)]) for place, merge in enumerate(MERGES)]
COUPLED = {"questions": ["bce", "mnr"], "similarity": ["mse", "mnr"]}


@pytest.fixture(scope="module")
def setup(tiny_bert: Path) -> Setup:
    """The demo's first rows and a model, without dropout."""
    table = toy_table(tiny_bert)
    table["encoder"]["dropout"] = 0.0
    for task in table["tasks"].values():
        task |= {"head": {"kind": "linear", "dropout": 0.0}, "limit": 48}
    return set_up(check_recipe(table, Path(str(resources.files("minbert") / "demo"))))


@pytest.mark.parametrize("losses", [["mse", "pearson"], ["pearson", "mse"]])
def test_a_squared_error_counts_in_whatever_place(losses: list[str]) -> None:
    stage = Stage(weighting="uncertainty", losses={"near": losses})  # type: ignore[arg-type]
    both = {"near": stage.losses["near"], "topic": (CrossEntropy(),)}
    assert Combination(stage, both, {}).factors(["topic", "near"]) == {"topic": 1.0, "near": 0.5}


class Separately(Live):
    """A pass for each task."""

    @property
    def splits(self) -> bool:
        return False


def steps(
    setup: Setup, made: list[list[tuple[str, range]]], one_pass: bool = True, compared: bool = False, **given: Any
) -> list[torch.Tensor]:
    """The weights after steps on given rows; where tasks are kept apart, in one pass of all or in one for each.

    Where their gradients are compared, they are kept apart though they are only summed.
    """
    stage = Stage(**{"mixture": "round_robin", "batches_per_step": 3, "lr": 1e-3, **given})
    assert not stage_faults(stage, setup.recipe.tasks, ())
    model = copy.deepcopy(setup.model)
    mine = replace(setup, model=model)
    losses = {name: stage.losses_of(name, task) for name, task in model.tasks.items()}
    shared, heads = trainable(mine, stage, list(losses))
    every_head = [parameter for parameters in heads.values() for parameter in parameters]
    optimizer = stage.optimizer.build([(stage.lr, [*shared, *every_head])])  # type: ignore[attr-defined]
    live = (Live if one_pass else Separately)(mine, losses, lambda work: None)
    assert live.splits == one_pass
    groups = layer_groups(model.encoder, shared)
    record = ConflictRecord("train", int(compared), len(made), groups, Silent())
    stepper = Stepper(stage, "train", 0, losses, (shared, heads), optimizer, live, record)
    model.train()
    for number, slots in enumerate(made):
        stepper(number, 3 * len(made), [Slot(task, torch.tensor(rows).numpy()) for task, rows in slots])
    return [parameter.detach().clone() for parameter in stepper.trained]


def away(one: list[torch.Tensor], other: list[torch.Tensor]) -> float:
    return max(float((a - b).abs().max()) for a, b in zip(one, other, strict=True))


TASKS = ("sentiment", "questions", "similarity")
WHOLE = [[(task, range(8 * n, 8 * n + 8)) for task in TASKS] for n in range(3)]
"""Three steps of one batch of 8 of each task."""


@pytest.mark.parametrize(("merge", "weighting"), [*PAIRS, *(("sum", weighting) for weighting in WEIGHTINGS)])
@pytest.mark.parametrize("budget", [4096, 500])
def test_one_pass_of_all_tasks_makes_the_step_of_a_pass_for_each(
    setup: Setup, merge: str, weighting: str, budget: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forward_module, "BUDGET", budget)
    made = [[*step, ("questions", range(24, 30))] for step in WHOLE]
    given = {"merge": merge, "weighting": weighting, "batches_per_step": 4}
    assert away(steps(setup, made, True, **given), steps(setup, made, False, **given)) < 2e-5


@pytest.mark.parametrize(("merge", "weighting"), PAIRS)
def test_the_norm_that_clips_is_that_of_the_merged_gradient(
    setup: Setup, merge: str, weighting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, move = [], Stepper._move

    def watched(self: Stepper, number: int, total: int, values: list[torch.Tensor], norm: float, names: Any) -> None:
        seen.append((norm, float(torch.nn.utils.get_total_norm(values))))
        move(self, number, total, values, norm, names)

    monkeypatch.setattr(Stepper, "_move", watched)
    steps(setup, WHOLE, merge=merge, weighting=weighting)
    assert len(seen) == 3
    for found, wanted in seen:
        assert found == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("weighting", ["equal", "uncertainty", "dwa"])
def test_a_weight_is_on_a_tasks_whole_loss_its_heads_part_too(setup: Setup, weighting: str) -> None:
    together = steps(setup, WHOLE, weighting=weighting)
    assert away(together, steps(setup, WHOLE, compared=True, weighting=weighting)) < 2e-5


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_weightings_work_where_heads_stand_still(setup: Setup, weighting: str) -> None:
    before = steps(setup, [], update=["encoder"])
    after = steps(setup, WHOLE, update=["encoder"], weighting=weighting)
    assert len(after) == len(before) == len(list(setup.model.encoder.parameters())) and away(after, before) > 1e-4


@pytest.fixture(scope="module")
def plain(setup: Setup) -> list[torch.Tensor]:
    """The weights after these steps with the plain sum."""
    return steps(setup, WHOLE)


@pytest.mark.parametrize(("merge", "weighting"), PAIRS)
def test_two_half_batches_with_half_the_weight_are_one(
    setup: Setup, plain: list[torch.Tensor], merge: str, weighting: str
) -> None:
    halves = [[(task, rows[half : half + 4]) for half in (0, 4) for task, rows in step] for step in WHOLE]
    one = steps(setup, WHOLE, merge=merge, weighting=weighting)
    two = steps(setup, halves, merge=merge, weighting=weighting, weight=0.5)
    assert away(one, two) < 2e-5
    # Before the third epoch DWA has nothing to say.
    assert (away(one, plain) > 1e-5) == (merge != "sum" or weighting not in ("equal", "dwa"))


@pytest.mark.parametrize(("merge", "weighting"), PAIRS)
def test_coupled_batches_may_go_through_the_encoder_one_by_one(
    setup: Setup, merge: str, weighting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = {"merge": merge, "weighting": weighting, "losses": COUPLED}
    twice = [[*step, *after] for step, after in pairwise(WHOLE)]
    together = steps(setup, twice, **method)
    monkeypatch.setattr(forward_module, "BUDGET", 1)
    assert away(together, steps(setup, twice, **method)) < 2e-5


class Stopping(Listener):
    """Asks the run to stop at the n-th piece of work of some epoch."""

    def __init__(self, epoch: str, left: int) -> None:
        self.epoch, self.left, self.here = epoch, left, False

    def doing(self, what: str) -> None:
        self.here = what == self.epoch

    def advance(self, work: int) -> None:
        self.left -= self.here
        if self.here and not self.left:
            signal.raise_signal(signal.SIGTERM)


def test_a_resumed_run_remembers(tiny_bert: Path, toy_data: Path, tmp_path: Path) -> None:
    # Steps of two batches of three tasks, so that in each a task is absent.
    table = toy_table(tiny_bert)
    for task in table["tasks"].values():
        task["limit"] = 20
    both = {"batch": 5, "lr": 1e-3, "mixture": "round_robin", "batches_per_step": 2}
    table["stages"] = {
        "one": {**both, "merge": "gradvac", "weighting": "famo", "epochs": 1},
        "two": {**both, "weighting": "gradnorm", "epochs": 1},
        "three": {**both, "weighting": "uncertainty", "merge": "cagrad", "epochs": 1},
        "four": {**both, "weighting": "dwa", "epochs": 3},
    }
    recipe = check_recipe(table, toy_data)
    train(recipe, tmp_path / "whole", with_floors=False)
    for resume, place in enumerate((("one 1/1", 5), ("two 1/1", 4), ("three 1/1", 4), ("four 3/3", 2))):
        with pytest.raises(Interrupted):
            train(recipe, tmp_path / "run", resume=bool(resume), listener=Stopping(*place), with_floors=False)
    train(recipe, tmp_path / "run", resume=True, with_floors=False)
    for name in ("metrics.jsonl", "last/heads.safetensors", "last/encoder/model.safetensors"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    assert len(read_lines(tmp_path / "run" / "metrics.jsonl")) == 6
