"""The penalties on a batch beside its losses, and what the regularizers remember."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from minbert.outputs import Outputs
from minbert.regularizers import Regularizer
from minbert.training.forward import Found

Memories = dict[str, dict[str, Any]]


def starts(regularizers: Sequence[Regularizer], weights: Sequence[Tensor]) -> Memories:
    """What the regularizers of a stage remember before its first step, by name."""
    return {_name(place): regularizer.start(weights) for place, regularizer in enumerate(regularizers)}


def regularized(
    regularizers: Sequence[Regularizer], memories: Memories, found: Found, loss: Callable[[Outputs], Tensor]
) -> Tensor:
    """The loss of a batch with its penalties.

    Args:
        regularizers: of the stage.
        memories: what they remember.
        found: the batch and its first pass.
        loss: the task's losses on the outputs of a pass; where there are several passes that count, their mean counts.
    """
    slot, outputs, _, again = found
    losses, penalties = [loss(outputs)], []
    if again is not None:
        for place, regularizer in enumerate(regularizers):
            if regularizer.concerns(slot.task, again.kind):
                penalty = regularizer(outputs, again, memories[_name(place)])
                penalties.append(regularizer.weight * penalty.value)
                losses += [loss(further) for further in penalty.counted]
    return torch.stack([torch.stack(losses).mean(), *penalties]).sum()


def after_step(
    regularizers: Sequence[Regularizer], memories: Memories, weights: Sequence[Tensor], progress: float
) -> Memories:
    """What the regularizers remember after a step, by name; `progress` is the share of the stage that is done."""
    return {
        _name(place): regularizer.after_step(weights, memories[_name(place)], progress)
        for place, regularizer in enumerate(regularizers)
    }


def _name(place: int) -> str:
    return f"regularizers.{place}"
