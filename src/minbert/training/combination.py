"""How the tasks of a step are combined: a weight on each task's loss, a merge of their gradients, and their memory."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from minbert.gradients import Seen, TaskGradients
from minbert.losses import Loss, SquaredError
from minbert.recipe import Stage
from minbert.training.plan import Slot

Measured = Sequence[tuple[Slot, float]]
"""Batches with their losses."""


class Combination:
    """The weighting and the merge of one stage.

    Args:
        stage: what the recipe says.
        losses: by task.
        memories: where both keep what they remember.
    """

    def __init__(self, stage: Stage, losses: dict[str, tuple[Loss, ...]], memories: dict[str, dict[str, Any]]) -> None:
        self.stage, self.memories = stage, memories
        self.weighting, self.merge = stage.weighting, stage.merge
        self.places = {task: place for place, task in enumerate(losses)}
        self.apart = not self.merge.plain or self.weighting.apart
        squared = [any(isinstance(loss, SquaredError) for loss in parts) for parts in losses.values()]
        memories["weighting"] = self.weighting.start(squared)
        memories["merge"] = self.merge.start(len(losses))

    def factors(self, tasks: Sequence[str]) -> dict[str, float]:
        """By which each task's loss is multiplied where gradients are not kept apart; empty: by 1."""
        if self.weighting.plain:
            return {}
        weights = self.weighting.weights(self.memories["weighting"], self._places(tasks), None)
        return dict(zip(tasks, weights.tolist(), strict=True))

    def combine(
        self,
        tasks: Sequence[str],
        measured: Measured,
        rows: TaskGradients,
        own: Mapping[str, Sequence[Parameter]],
        rng: torch.Generator,
    ) -> tuple[Tensor, float]:
        """Weighs and merges gradients that were kept apart, into `.grad`.

        Args:
            tasks: of the step, in the order of the rows.
            measured: its batches with their losses.
            rows: the tasks' gradients on the shared weights.
            own: each task's own weights, whose `.grad` is of that task alone.
            rng: of the merge.

        Returns:
            The norms of the rows; and that of the merged gradient on the shared weights, `sqrt(w^T G w)`.
        """
        places, gram = self._places(tasks), rows.gram()
        seen = self._losses(tasks, measured)
        weights = self.weighting.weights(self.memories["weighting"], places, seen)
        scaled = gram * torch.outer(weights, weights).float()
        merged, self.memories["merge"] = self.merge(scaled, self.memories["merge"], rng, places)
        used = merged * weights
        rows.put(used)
        for task, weight in zip(tasks, weights.tolist(), strict=True):
            for parameter in own[task] if weight != 1 else ():
                if parameter.grad is not None:
                    parameter.grad.mul_(weight)
        squared = (used.double() @ gram.double() @ used.double()).clamp(min=0.0)
        return gram.diagonal().double().sqrt(), squared.sqrt().item()

    def learn(
        self,
        tasks: Sequence[str],
        measured: Measured,
        norms: Tensor | None,
        later: Measured | None,
        ends_epoch: bool,
    ) -> None:
        """Tells the weighting what the step has shown.

        Args:
            tasks: of the step.
            measured: its batches with their losses.
            norms: what `combine` found.
            later: the batches with their losses after the step, for a weighting that looks again.
            ends_epoch: whether the step is the last of an epoch.
        """
        after = None if later is None else self._losses(tasks, later)
        seen = Seen(self._places(tasks), self._losses(tasks, measured), norms, after, ends_epoch)
        self.memories["weighting"] = self.weighting.after_step(self.memories["weighting"], seen)

    def _places(self, tasks: Sequence[str]) -> list[int]:
        return [self.places[task] for task in tasks]

    def _losses(self, tasks: Sequence[str], measured: Measured) -> Tensor:
        """The mean loss over all rows of each task, however many batches they came in, without its `weight`."""
        found = []
        for task in tasks:
            mine = [(len(slot.rows), loss) for slot, loss in measured if slot.task == task]
            mean = sum(rows * loss for rows, loss in mine) / sum(rows for rows, _ in mine)
            found.append(mean / self.stage.of("weight", task))
        return torch.tensor(found, dtype=torch.float64)
