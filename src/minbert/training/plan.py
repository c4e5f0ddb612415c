"""What a stage will do, known before it starts: which rows, in which batches, in which steps.

All of it is a pure function of (seed, stage, epoch, task), so a killed run goes on with the same batches. How often a
task comes may depend on what was scored before: then the plan has a memory, which a snapshot holds.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, groupby
from operator import attrgetter
from typing import Any

import numpy as np

from minbert.errors import DataError
from minbert.losses import Loss
from minbert.mixtures import Ahead
from minbert.randomness import generator
from minbert.recipe import Stage
from minbert.tasks import TaskData
from minbert.text.batches import Rows, epoch_rows


@dataclass(frozen=True)
class Slot:
    """One batch of a step: rows of a task."""

    task: str
    rows: Rows


@dataclass(frozen=True)
class TaskPlan:
    """What a stage does with one task.

    Attributes:
        losses: that it makes small.
        pool: the rows it can draw: those that at least one loss can learn from.
        samples: rows an epoch, if the mixture lets it have all its batches.
        batch: rows a batch.
    """

    losses: tuple[Loss, ...]
    pool: Rows
    samples: int
    batch: int

    @property
    def batches(self) -> int:
        """Batches an epoch; the last may be smaller."""
        return -(-self.samples // self.batch)


class StagePlan:
    """The steps of a stage.

    Args:
        name: of the stage.
        stage: what the recipe says.
        data: the tasks' rows.
        seed: the run's seed.

    Raises:
        DataError: a task has no rows that its losses can learn from.
    """

    def __init__(self, name: str, stage: Stage, data: dict[str, TaskData], seed: int) -> None:
        self.name, self.stage, self.seed = name, stage, seed
        self.tasks = {
            task: self._plan(task, data[task]) for task in stage.trained({t: d.task for t, d in data.items()})
        }

    def _plan(self, name: str, data: TaskData) -> TaskPlan:
        train = data.splits["train"]
        targets = data.task.targets(train.labels, train.labels)
        losses = tuple(loss.learned(targets) for loss in self.stage.losses_of(name, data.task))
        usable = np.logical_or.reduce([loss.usable(targets).numpy() for loss in losses])
        pool = np.flatnonzero(usable)
        if not len(pool):
            kinds = ", ".join(loss.kind for loss in losses)
            raise DataError(f"stages.{self.name}.losses.{name}: expected rows that {kinds} can learn from, found none")
        samples = self.stage.of("samples", name) or len(pool)
        if self.stage.draw == "once":
            samples = min(samples, len(pool))
        return TaskPlan(losses, pool, samples, self.stage.of("batch", name))

    @property
    def batches_per_epoch(self) -> int:
        """Batches of all tasks in an epoch."""
        return sum(plan.batches for plan in self.tasks.values())

    @property
    def steps_per_epoch(self) -> int:
        """Steps in an epoch."""
        batches = [plan.batches for plan in self.tasks.values()]
        blocks = batches if self.stage.mixture.phased else [sum(batches)]
        return sum(-(-block // self.stage.batches_per_step) for block in blocks)

    @property
    def steps(self) -> int:
        """Steps of the whole stage."""
        return self.steps_per_epoch * self.stage.epochs

    def start(self) -> dict[str, Any]:
        """The memory before the first epoch; empty where no score changes the mixture."""
        if not self.stage.mixture.adaptive:
            return {}
        return {"drawn": [0] * len(self.tasks), **self.stage.mixture.start()}

    def after_epoch(self, epoch: int, memory: dict[str, Any], scores: Mapping[str, float]) -> dict[str, Any]:
        """The memory for the next epoch.

        Args:
            epoch: that has ended.
            memory: as it was when that began.
            scores: each task's metric on the rows held out to select on; needed where the mixture is adaptive.
        """
        mixture = self.stage.mixture
        if not mixture.adaptive:
            return {}
        counts = mixture.counts(self._ahead(epoch), memory)
        drawn = [before + more for before, more in zip(memory["drawn"], counts, strict=True)]
        return {**mixture.after_epoch(list(self.tasks), memory, scores), "drawn": drawn}

    def epoch(self, epoch: int, memory: dict[str, Any] | None = None) -> list[list[Slot]]:
        """The steps of an epoch, each with its batches in order.

        Args:
            epoch: its number, from 0.
            memory: as it was when the epoch began; None: that of the start.
        """
        known = memory or self.start()
        queues = [self._batches(name, done) for name, done in zip(self.tasks, self._drawn(epoch, known), strict=True)]
        order = self.stage.mixture(self._ahead(epoch), known, generator(self.seed, self.name, "mixture", epoch))
        names = list(self.tasks)
        slots = [Slot(names[number], next(queues[number])) for number in order]
        size = self.stage.batches_per_step
        # Of a mixture that goes task by task, no step has two.
        phases = [list(block) for _, block in groupby(slots, attrgetter("task"))]
        blocks = phases if self.stage.mixture.phased else [slots]
        return [block[i : i + size] for block in blocks for i in range(0, len(block), size)]

    def _ahead(self, epoch: int) -> Ahead:
        """An epoch as the mixture sees it."""
        plans = self.tasks.values()
        rows, batches = [plan.samples for plan in plans], [plan.batches for plan in plans]
        return Ahead(list(self.tasks), rows, batches, epoch, self.stage.epochs)

    def _drawn(self, epoch: int, memory: dict[str, Any]) -> list[int]:
        """How many batches of each task came before an epoch."""
        if "drawn" in memory:
            return list(memory["drawn"])
        counts = [self.stage.mixture.counts(self._ahead(before), memory) for before in range(epoch)]
        return [sum(column) for column in zip(*counts, strict=True)] or [0] * len(self.tasks)

    def _batches(self, name: str, done: int) -> Iterator[Rows]:
        """The endless batches of a task, from one on: those of its epoch of `samples` rows, then of the next."""
        plan = self.tasks[name]
        first, skipped = divmod(done, plan.batches)
        for number in count(first):
            rows = epoch_rows(plan.pool, plan.samples, number, self.stage.draw, self.seed, self.name, name)
            begin = skipped * plan.batch if number == first else 0
            yield from (rows[i : i + plan.batch] for i in range(begin, len(rows), plan.batch))

    @property
    def rows_per_epoch(self) -> dict[str, float]:
        """Rows of each task in an epoch: the mean over the epochs, as far as it is known before the start."""
        mixture, state = self.stage.mixture, self.start()
        epochs = 1 if mixture.adaptive else self.stage.epochs
        counts = [mixture.counts(self._ahead(epoch), state) for epoch in range(epochs)]
        means = [sum(column) / epochs for column in zip(*counts, strict=True)]
        return {
            name: mean * plan.samples / plan.batches
            for (name, plan), mean in zip(self.tasks.items(), means, strict=True)
        }

    def rows_used(self) -> dict[str, Rows]:
        """Every row that the stage will use, by task, sorted; where scores decide, every row that it might use."""
        if self.stage.mixture.adaptive:
            return {name: self._reachable(name) for name in self.tasks}
        return rows_of([step for epoch in range(self.stage.epochs) for step in self.epoch(epoch)])

    def _reachable(self, name: str) -> Rows:
        """The rows that any epoch of a task may have."""
        plan = self.tasks[name]
        if self.stage.draw == "stream":
            return plan.pool
        return np.unique(epoch_rows(plan.pool, plan.samples, 0, self.stage.draw, self.seed, self.name, name))

    def phase_ends(self, steps: list[list[Slot]]) -> set[int]:
        """The steps of an epoch after which another task begins, for mixtures that go task by task."""
        if not self.stage.mixture.phased or len(self.tasks) < 2:
            return set()
        last = [step[-1].task for step in steps]
        return {i for i, task in enumerate(last) if i + 1 == len(last) or last[i + 1] != task}


def rows_of(steps: Sequence[Sequence[Slot]]) -> dict[str, Rows]:
    """The rows of some steps, by task, sorted."""
    found: dict[str, list[Rows]] = {}
    for slot in (slot for step in steps for slot in step):
        found.setdefault(slot.task, []).append(slot.rows)
    return {name: np.unique(np.concatenate(rows)) for name, rows in found.items()}
