"""A plan is a pure function of (seed, stage, epoch, task), and draws what the recipe asks for."""

import json
from typing import Any

import numpy as np
import pytest
import torch

from minbert.errors import DataError
from minbert.losses import ClassBalanced
from minbert.mixtures import AnyMixture
from minbert.recipe import Stage
from minbert.tasks import Classes, Rating, Split, Task, TaskData, YesNo
from minbert.training.plan import Slot, StagePlan

FILES = {"label": "y", "train": "x.csv"}
TASKS: dict[str, Task] = {
    "topic": Classes(text=("a",), labels=("0", "1"), **FILES),
    "same": YesNo(text=("a", "b"), **FILES),
    "near": Rating(text=("a", "b"), range=(0.0, 5.0), **FILES),
}


def data(**rows: int) -> dict[str, TaskData]:
    """So many rows of each task; every third pair is a positive one: yes, or rated 4."""
    found = {}
    for name, count in rows.items():
        task, columns = TASKS[name], len(TASKS[name].text)
        texts = tuple(tuple(f"{name} {column} {row}" for row in range(count)) for column in range(columns))
        labels = torch.tensor([row % 3 == 0 for row in range(count)])
        values = 4.0 * labels if name == "near" else labels.long()
        split = Split(texts, values, tuple(f"x.csv:{row + 2}" for row in range(count)))
        found[name] = TaskData(task, {"train": split}, (), {})
    return found


def plan(rows: dict[str, int] | None = None, name: str = "train", seed: int = 0, **stage: Any) -> StagePlan:
    return StagePlan(name, Stage.model_validate(stage), data(**(rows or {"topic": 50, "same": 30, "near": 20})), seed)


def rows_of(steps: list[list[Slot]], task: str) -> list[int]:
    return [int(row) for step in steps for slot in step if slot.task == task for row in slot.rows]


def same(left: list[list[Slot]], right: list[list[Slot]]) -> bool:
    pairs = [(a, b) for x, y in zip(left, right, strict=True) for a, b in zip(x, y, strict=True)]
    return all(a.task == b.task and np.array_equal(a.rows, b.rows) for a, b in pairs)


class TestPure:
    def test_it_comes_out_the_same_in_any_order(self) -> None:
        one, two = plan(), plan()
        later = [one.epoch(epoch) for epoch in (2, 0, 1)]
        assert all(same(two.epoch(epoch), steps) for epoch, steps in zip((2, 0, 1), later, strict=True))

    @pytest.mark.parametrize("other", [{"seed": 1}, {"name": "finetune"}])
    def test_seed_and_stage_change_it(self, other: dict[str, Any]) -> None:
        assert rows_of(plan().epoch(0), "same") != rows_of(plan(**other).epoch(0), "same")

    def test_epochs_differ(self) -> None:
        assert rows_of(plan().epoch(0), "same") != rows_of(plan().epoch(1), "same")

    def test_a_task_draws_the_same_rows_with_and_without_others(self) -> None:
        alone = rows_of(plan(tasks="same").epoch(1), "same")
        assert alone == rows_of(plan(mixture="sequential", batches_per_step=2).epoch(1), "same")


class TestCounts:
    def test_an_epoch_is_every_row_once(self) -> None:
        for epoch in range(3):
            steps = plan(batch=8).epoch(epoch)
            assert sorted(rows_of(steps, "topic")) == list(range(50))
            assert sorted(rows_of(steps, "near")) == list(range(20))

    def test_samples_and_batch_are_by_task(self) -> None:
        made = plan(samples={"topic": 20, "near": 45}, batch={"topic": 8, "same": 30})
        sizes = {task: [len(s.rows) for step in made.epoch(0) for s in step if s.task == task] for task in TASKS}
        assert sizes == {"topic": [8, 8, 4], "same": [30], "near": [32, 13]}
        assert made.batches_per_epoch == 6

    @pytest.mark.parametrize("size", [1, 2, 3, 4, 100])
    @pytest.mark.parametrize("mixture", sorted(AnyMixture.__metadata__[0].members))  # type: ignore[attr-defined]
    def test_the_number_of_steps_is_what_is_said(self, mixture: str, size: int) -> None:
        made = plan(batch=7, mixture=mixture, batches_per_step=size, epochs=4)
        steps = made.epoch(0)
        assert len(steps) == made.steps_per_epoch and made.steps == 4 * len(steps)
        assert sum(map(len, steps)) == made.batches_per_epoch == 8 + 5 + 3
        short = [step for step in steps if len(step) != size]
        assert all(1 <= len(step) < size for step in short)
        # The last one; task by task, the last of each.
        assert short in ([], steps[-1:]) or mixture == "sequential"

    def test_a_stream_comes_back_to_a_row_only_when_all_have_been(self) -> None:
        made = plan({"topic": 50}, samples=20, epochs=5)
        drawn = [row for epoch in range(5) for row in rows_of(made.epoch(epoch), "topic")]
        assert sorted(drawn[:50]) == sorted(drawn[50:]) == list(range(50)) and drawn[:50] != drawn[50:]

    def test_more_than_there_is_means_further_passes(self) -> None:
        drawn = rows_of(plan({"topic": 10}, samples=25).epoch(0), "topic")
        assert len(drawn) == 25 and sorted(drawn[:10]) == sorted(drawn[10:20]) == list(range(10))
        assert np.bincount(rows_of(plan({"topic": 10}, samples=30).epoch(0), "topic")).tolist() == [3] * 10

    def test_drawn_once_it_is_the_same_rows_in_another_order(self) -> None:
        made = plan({"topic": 50}, samples=20, draw="once")
        one, two = (rows_of(made.epoch(epoch), "topic") for epoch in (0, 1))
        assert set(one) == set(two) and len(set(one)) == 20 and one != two
        assert plan({"topic": 50}, samples=99, draw="once").tasks["topic"].samples == 50

    @pytest.mark.parametrize("draw", ["stream", "once"])
    def test_rows_used_are_all_that_any_epoch_draws(self, draw: str) -> None:
        made = plan(samples=12, epochs=3, draw=draw)
        for task, rows in made.rows_used().items():
            drawn = {row for epoch in range(3) for row in rows_of(made.epoch(epoch), task)}
            assert rows.tolist() == sorted(drawn)


class TestPool:
    def test_ranking_draws_positives_only(self) -> None:
        made = plan(losses={"same": "mnr", "near": {"kind": "mnr", "positive": 3.5}})
        for task, count in (("same", 30), ("near", 20)):
            assert sorted(rows_of(made.epoch(0), task)) == list(range(0, count, 3))
        assert sorted(rows_of(made.epoch(0), "topic")) == list(range(50))

    def test_beside_another_loss_it_draws_all(self) -> None:
        made = plan(losses={"same": ["bce", "mnr"]})
        assert sorted(rows_of(made.epoch(0), "same")) == list(range(30))

    def test_losses_may_use_different_rows(self) -> None:
        made = plan(losses={"near": [{"kind": "mnr", "positive": 4.5}, "mse"]})
        assert sorted(rows_of(made.epoch(0), "near")) == list(range(20))

    def test_a_loss_learns_from_the_labels_of_train(self) -> None:
        made = plan(losses={"topic": ["cross_entropy", "class_balanced"]}, samples=8)
        learned = made.tasks["topic"].losses[1]
        assert isinstance(learned, ClassBalanced) and learned.counts == (33, 17)
        assert made.stage.losses["topic"][1] == ClassBalanced()

    def test_where_no_row_is_of_use_it_is_told(self) -> None:
        with pytest.raises(DataError, match=r"stages\.train\.losses\.near: expected rows that mnr can learn from"):
            plan(losses={"near": {"kind": "mnr", "positive": 4.5}})


def drawn(made: StagePlan, task: str, epochs: int) -> list[list[int]]:
    """The batches of a task, as they come."""
    steps = [step for epoch in range(epochs) for step in made.epoch(epoch)]
    return [slot.rows.tolist() for step in steps for slot in step if slot.task == task]


CHOOSING = [{"kind": "fixed", "shares": {"near": 9}}, {"kind": "annealed", "final": 0}, {"kind": "square_root"}]


class TestShares:
    @pytest.mark.parametrize("mixture", CHOOSING, ids=lambda mixture: mixture["kind"])
    @pytest.mark.parametrize("draw", ["stream", "once"])
    def test_the_batches_of_a_task_are_the_same_ones_however_many_an_epoch_has(self, mixture: Any, draw: str) -> None:
        stage: dict[str, Any] = {"batch": 4, "samples": {"topic": 30, "near": 10}, "draw": draw, "epochs": 5}
        given, chosen = plan(**stage), plan(**stage, mixture=mixture)
        for task in TASKS:
            found, all_of_them = drawn(chosen, task, 5), drawn(given, task, 30)
            assert found == all_of_them[: len(found)]
        assert len(drawn(chosen, "near", 5)) > len(drawn(given, "near", 5))

    @pytest.mark.parametrize("mixture", CHOOSING, ids=lambda mixture: mixture["kind"])
    def test_it_is_a_pure_function_of_the_epoch_and_rows_used_are_those_drawn(self, mixture: Any) -> None:
        one, two = (plan(mixture=mixture, batch=4, samples=11, epochs=4) for _ in range(2))
        later = [one.epoch(epoch) for epoch in (3, 1, 0)]
        assert all(same(two.epoch(epoch), steps) for epoch, steps in zip((3, 1, 0), later, strict=True))
        for task, rows in one.rows_used().items():
            assert rows.tolist() == sorted({row for batch in drawn(two, task, 4) for row in batch})

    @pytest.mark.parametrize("mixture", ["proportional", "round_robin", *CHOOSING], ids=str)
    def test_rows_per_epoch_are_those_of_the_batches(self, mixture: Any) -> None:
        made = plan(mixture=mixture, batch=5, samples=25, epochs=4)
        for task, rows in made.rows_per_epoch.items():
            assert rows == sum(map(len, drawn(made, task, 4))) / 4


class TestMemory:
    STAGE = {"mixture": "progress", "batch": 4, "samples": {"topic": 30, "near": 10}, "epochs": 3}

    def test_there_is_none_unless_scores_decide(self) -> None:
        assert plan(mixture="annealed").start() == plan(mixture="annealed").after_epoch(0, {}, {}) == {}

    def test_scores_change_the_next_epoch_and_every_task_goes_on_where_it_was(self) -> None:
        made, given = plan(**self.STAGE), plan(**self.STAGE | {"mixture": "proportional"})
        memory, found = made.start(), []
        for epoch, scores in enumerate([{"topic": 1.0, "same": 1.0, "near": 0.2}, {"same": 1.0, "near": 1.0}, {}]):
            steps = made.epoch(epoch, memory)
            assert len(steps) == made.steps_per_epoch
            found.append(steps)
            memory = json.loads(json.dumps(made.after_epoch(epoch, memory, scores)))
        for task in TASKS:
            batches = [slot.rows.tolist() for steps in found for step in steps for slot in step if slot.task == task]
            assert batches == drawn(given, task, 30)[: len(batches)]
        often = [{task: sum(slot.task == task for step in steps for slot in step) for task in TASKS} for steps in found]
        assert often[0] == {"topic": 8, "same": 8, "near": 3}
        assert often[1]["near"] > 15 and often[2]["topic"] > 15

    @pytest.mark.parametrize(("draw", "count"), [("stream", 50), ("once", 30)])
    def test_rows_used_are_all_that_might_be(self, draw: str, count: int) -> None:
        assert len(plan(**self.STAGE, draw=draw).rows_used()["topic"]) == count


class TestPhases:
    def test_they_end_with_the_last_batch_of_each_task(self) -> None:
        made = plan(batch=10, mixture="sequential")
        steps = made.epoch(0)
        assert [step[0].task for step in steps] == ["topic"] * 5 + ["same"] * 3 + ["near"] * 2
        assert made.phase_ends(steps) == {4, 7, 9}

    def test_no_step_of_several_batches_has_two_tasks(self) -> None:
        made = plan(batch=10, mixture="sequential", batches_per_step=4)
        found = [[slot.task for slot in step] for step in made.epoch(0)]
        assert found == [["topic"] * 4, ["topic"], ["same"] * 3, ["near"] * 2]
        assert made.phase_ends(made.epoch(0)) == {1, 2, 3} and made.steps_per_epoch == 4

    @pytest.mark.parametrize("stage", [{"mixture": "round_robin"}, {"mixture": "sequential", "tasks": "same"}])
    def test_there_are_none_where_tasks_alternate_or_there_is_one(self, stage: dict[str, Any]) -> None:
        made = plan(**stage)
        assert made.phase_ends(made.epoch(0)) == set()
