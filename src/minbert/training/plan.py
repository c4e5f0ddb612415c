"""What a stage will do, known before it starts: which rows, in which batches, in which steps.

All of it is a pure function of (seed, stage, epoch, task), so a killed run goes on with the same batches.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from minbert.errors import DataError
from minbert.losses import Loss
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
        samples: rows an epoch.
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
        losses = self.stage.losses_of(name, data.task)
        train = data.splits["train"]
        targets = data.task.targets(train.labels, train.labels)
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
        return -(-self.batches_per_epoch // self.stage.batches_per_step)

    @property
    def steps(self) -> int:
        """Steps of the whole stage."""
        return self.steps_per_epoch * self.stage.epochs

    def epoch(self, epoch: int) -> list[list[Slot]]:
        """The steps of an epoch, each with its batches in order."""
        queues = {}
        for name, plan in self.tasks.items():
            rows = epoch_rows(plan.pool, plan.samples, epoch, self.stage.draw, self.seed, self.name, name)
            queues[name] = iter([rows[i : i + plan.batch] for i in range(0, len(rows), plan.batch)])
        names, counts = list(self.tasks), [plan.batches for plan in self.tasks.values()]
        order = self.stage.mixture(counts, generator(self.seed, self.name, "mixture", epoch))
        slots = [Slot(names[number], next(queues[names[number]])) for number in order]
        size = self.stage.batches_per_step
        return [slots[i : i + size] for i in range(0, len(slots), size)]

    def rows_used(self) -> dict[str, Rows]:
        """Every row that the stage will use, by task, sorted."""
        return rows_of([step for epoch in range(self.stage.epochs) for step in self.epoch(epoch)])

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
