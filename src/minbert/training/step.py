"""One step: batches of several tasks, one graph at a time, merged into one gradient."""

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import chain
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

import minbert.distributed as distributed
from minbert.encoder import ByTask
from minbert.errors import TrainingError
from minbert.gradients import TaskGradients, add_gradients, norm_of, summed
from minbert.losses import Loss
from minbert.optimizer import AdamW, exchanged
from minbert.outputs import Outputs
from minbert.randomness import derive, generator
from minbert.recipe import Stage
from minbert.training.combination import Combination
from minbert.training.conflicts import ConflictRecord
from minbert.training.forward import Forward, Found, Work
from minbert.training.plan import Slot
from minbert.training.regularized import after_step, regularized, starts
from minbert.training.shards import Shards
from minbert.training.teaching import Teaching
from minbert.training.unfreezing import Unfreezing

Part = tuple[Slot, Tensor]
"""A batch and its loss."""


class Stepper:
    """Makes the steps of one stage.

    Args:
        stage: what the recipe says.
        name: of the stage.
        seed: the run's seed.
        losses: by task.
        parts: the shared parameters that are trained, and those of each task's own.
        optimizer: over the same parameters.
        forward: outputs and targets of batches.
        conflicts: where the tasks' gradients are compared and written down now and then; None: never.
        teaching: what the tasks' teachers say; None: there are none.
        unfreezing: which layers move in which step; None: all in all.
    """

    def __init__(
        self,
        stage: Stage,
        name: str,
        seed: int,
        losses: dict[str, tuple[Loss, ...]],
        parts: tuple[list[nn.Parameter], dict[str, list[nn.Parameter]]],
        optimizer: AdamW,
        forward: Forward,
        conflicts: ConflictRecord | None = None,
        teaching: Teaching | None = None,
        unfreezing: Unfreezing | None = None,
    ) -> None:
        self.stage, self.name, self.seed = stage, name, seed
        self.losses, self.optimizer, self.forward = losses, optimizer, forward
        self.shared, self.own = parts
        self.conflicts, self.teaching, self.unfreezing = conflicts, teaching or Teaching({}), unfreezing
        self.trained = [*self.shared, *chain(*self.own.values())]
        shared = stage.optimizer.memory == "shared" and distributed.size() > 1
        self.shards = Shards(optimizer, self.trained) if shared else None
        self.memories: dict[str, dict[str, Any]] = starts(stage.regularizers, self.trained)
        self.tasks = Combination(stage, losses, self.memories)
        if stage.average:
            self.memories["average"] = stage.average.start(self.trained)

    def __call__(self, number: int, total: int, slots: list[Slot]) -> list[tuple[str, float]]:
        """One step.

        Args:
            number: of the step within the stage, from 0.
            total: steps of the stage.
            slots: the step's batches.

        Returns:
            The loss of each batch, before the weighting, with its task.

        Raises:
            TrainingError: a loss or the gradient is NaN or infinite; names task and step.
        """
        if self.unfreezing:
            self.unfreezing(number, total)
        rows = TaskGradients(self.shared)
        tasks = list(dict.fromkeys(slot.task for slot in slots))
        by_task = [self._work(number, task, slots) for task in tasks]
        due = self.conflicts is not None and self.conflicts.due(number)
        apart = self.tasks.apart or (due and len(tasks) > 1)
        if apart:
            parts = self._back_apart(number, total, dict(zip(tasks, by_task, strict=True)), rows)
        else:
            parts = self._back(number, total, list(chain(*by_task)), factors=self.tasks.factors(tasks))
        add_gradients(list(chain(*self.own.values())) if apart else self.trained)
        if due and self.conflicts:
            self.conflicts.add(number, tasks, rows.rows if len(tasks) > 1 else [])
        measured = [part for _, part in parts]
        norms, merged, losses = None, 0.0, self._losses(number, parts, _read(measured)) if apart else []
        if apart:
            rng = generator(self.seed, self.name, "merge", number)
            norms, merged = self.tasks.combine(tasks, losses, rows, self.own, rng)
        own = self._gradients(list(chain(*self.own.values())))
        values = [*self._gradients(self.shared), *own]
        # An accelerator is waited for here: once, where losses are not needed to merge.
        # Of a merged gradient the norm is known; it takes no pass over its numbers.
        *numbers, norm = _read([*measured, norm_of(own if apart else values)])
        norm = math.hypot(norm, merged)
        losses = losses or self._losses(number, parts, numbers)
        self._move(number, total, values, norm, tasks)
        if not self.stage.weighting.plain:
            later = self._again(number, total, by_task) if self.stage.weighting.again else None
            self.tasks.learn(tasks, losses, norms, later, (number + 1) % (total // self.stage.epochs) == 0)
        self.memories |= after_step(self.stage.regularizers, self.memories, self.trained, (number + 1) / total)
        if self.stage.average:
            self.memories["average"] = self.stage.average(self.trained, self.memories["average"])
        return [(slot.task, loss) for slot, loss in losses]

    def _back_apart(self, number: int, total: int, by_task: dict[str, Work], rows: TaskGradients) -> list[Part]:
        """The batches forward and backward, the tasks' gradients kept apart: in one pass, where that can be."""
        if self.forward.splits:
            collected = ByTask()
            parts = self._back(number, total, list(chain(*by_task.values())), collected)
            rows.sort_out(list(by_task), collected.take)
            return parts
        parts = []
        for work in by_task.values():
            parts += self._back(number, total, work)
            rows.take()
        return parts

    def _back(
        self,
        number: int,
        total: int,
        work: Work,
        collected: ByTask | None = None,
        factors: Mapping[str, float] = MappingProxyType({}),
    ) -> list[Part]:
        """Some batches forward and backward; their losses."""
        parts: list[Part] = []
        for found in self.forward(work, collected):
            mine = [(one.slot, self._loss(number, total, one)) for one in found]
            torch.stack([part * factors[slot.task] if factors else part for slot, part in mine]).sum().backward()
            parts += [(slot, part.detach()) for slot, part in mine]
        return parts

    @torch.no_grad()
    def _again(self, number: int, total: int, by_task: list[Work]) -> list[tuple[Slot, float]]:
        """The losses of the same batches under the same dropout, after the step."""
        found = chain(*self.forward(list(chain(*by_task)), None))
        parts = [(one.slot, self._loss(number, total, one)) for one in found]
        return self._losses(number, parts, _read([part for _, part in parts]))

    def averaged(self) -> AbstractContextManager[None]:
        """Within, the model has the averaged weights, where the stage asks for an average."""
        return exchanged(self.trained, self.memories["average"]) if self.stage.average else nullcontext()

    def _work(self, number: int, task: str, slots: list[Slot]) -> Work:
        """The slots of one task, each with its own seed: so arms with one seed share masks, and resume is exact."""
        mine = [slot for slot in slots if slot.task == task]
        return [
            (slot, derive(self.seed, self.name, number, task, micro) + distributed.rank())
            for micro, slot in enumerate(mine)
        ]

    def _loss(self, number: int, total: int, found: Found) -> Tensor:
        """The weighted loss of one batch, penalties included."""
        slot = found.slot
        targets = self.teaching(slot, found.targets, number / total)

        def summed_losses(outputs: Outputs) -> Tensor:
            parts = [one.weight * one(outputs, targets) for one in self.losses[slot.task]]
            return torch.stack(parts).sum()

        whole = regularized(self.stage.regularizers, self.memories, found, summed_losses)
        return self.stage.of("weight", slot.task) * whole  # type: ignore[no-any-return]

    def _losses(self, number: int, parts: list[Part], values: list[float]) -> list[tuple[Slot, float]]:
        """The losses of a step as plain numbers.

        Raises:
            TrainingError: one is NaN or infinite.
        """
        losses = [(slot, value) for (slot, _), value in zip(parts, values, strict=True)]
        for slot, loss in losses:
            if not math.isfinite(loss):
                raise TrainingError(
                    f"stage {self.name!r}, step {number + 1}, task {slot.task!r}: the loss is {loss}; "
                    'a lower lr, or precision = "float32", is the usual remedy'
                )
        return losses

    def _gradients(self, parameters: Sequence[nn.Parameter]) -> list[Tensor]:
        """The numbers of the gradients; of a sparse one those that it holds, each row once."""
        found = []
        for parameter in parameters:
            if parameter.grad is not None:
                parameter.grad = summed(parameter.grad)
                found.append(parameter.grad.values() if parameter.grad.is_sparse else parameter.grad)
        return found

    def _move(self, number: int, total: int, values: list[Tensor], norm: float, tasks: list[str]) -> None:
        """Clips the merged gradient and moves the weights.

        Raises:
            TrainingError: the gradient is NaN or infinite.
        """
        if not math.isfinite(norm):
            raise TrainingError(
                f"stage {self.name!r}, step {number + 1}, task {', '.join(sorted(tasks))}: the gradient is {norm}"
            )
        clip = self.stage.optimizer.clip
        if clip and norm > clip:
            torch._foreach_mul_(values, clip / norm)
        factor = self.stage.schedule(number, total)
        for group in self.optimizer.param_groups:
            group["lr"] = group["base"] * factor
        (self.shards or self.optimizer).step()
        self.optimizer.zero_grad(set_to_none=True)


def _read(values: list[Tensor]) -> list[float]:
    """Some numbers of a device, all at once."""
    found: list[float] = torch.stack(values).tolist()
    return found
