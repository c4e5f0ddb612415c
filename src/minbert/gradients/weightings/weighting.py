"""What a weighting is: a factor on each task's whole loss, learned from how the losses fall."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor

from minbert.shapes import Weights
from minbert.values import Value

Losses = Float[Tensor, " tasks"]
"""A number per task of a step, in float64."""


@dataclass(frozen=True)
class Seen:
    """What one step has shown; the same in every process.

    Attributes:
        tasks: which tasks of the stage stood in the step, counted from 0.
        losses: of each, before the step and without its `weight`: the mean over all its rows in the step.
        norms: `||g_i||` on the shared weights, with `weight`; None unless the weighting keeps gradients `apart`.
        later: the losses of the same rows, with the same dropout, after the step; None unless it looks `again`.
        ends_epoch: whether the step is the last of an epoch.
    """

    tasks: Sequence[int]
    losses: Losses
    norms: Losses | None
    later: Losses | None
    ends_epoch: bool


class Weighting(Value):
    """How much each task's loss counts: `sum_i weights_i L_i`, heads included, before any merge.

    Memory stays outside: `state = weighting.start(...)`, then for each step `weights = weighting.weights(state, ...)`
    and `state = weighting.after_step(state, seen)`.
    """

    plain: ClassVar[bool] = False
    """Whether the weights are always 1."""

    apart: ClassVar[bool] = False
    """Whether it asks for the norms of the tasks' gradients, or for this step's losses before its weights."""

    again: ClassVar[bool] = False
    """Whether it asks for the losses once more after the step: another forward pass."""

    kind: str

    def start(self, squared: Sequence[bool]) -> dict[str, Any]:
        """The state before the first step: tensors and numbers that a snapshot can hold.

        Args:
            squared: for each task of the stage, whether its loss is a squared error.
        """
        return {}

    def faults(self, epochs: int, shared: bool) -> list[str]:
        """Why it would change nothing in a stage; empty where it would.

        Args:
            epochs: of the stage.
            shared: whether the stage trains weights that the tasks share.
        """
        return []

    @abstractmethod
    def weights(self, state: dict[str, Any], tasks: Sequence[int], losses: Losses | None) -> Weights:
        """The weights of one step, above 0.

        Args:
            state: what `start` or the last `after_step` gave.
            tasks: which tasks of the stage stand in the step, counted from 0.
            losses: theirs; None unless the weighting keeps gradients `apart`.
        """

    def after_step(self, state: dict[str, Any], seen: Seen) -> dict[str, Any]:
        """The state after a step."""
        return state
