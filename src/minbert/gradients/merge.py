"""What a merge is: from the Gram matrix of the tasks' gradients to a weight for each."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch

from minbert.shapes import Gram, Weights
from minbert.values import Value


class Merge(Value):
    """How the gradients of the tasks on the shared weights become one: `update = sum_i weights_i g_i`.

    Memory stays outside: `state = merge.start(tasks)`, `weights, state = merge(gram, state, rng, tasks)`.
    """

    plain: ClassVar[bool] = False
    """Whether the weights are always 1, so that no task's gradient need be kept apart."""

    kind: str

    def start(self, tasks: int) -> dict[str, Any]:
        """The state before the first step of a stage with so many tasks: tensors and numbers a snapshot can hold."""
        return {}

    @abstractmethod
    def __call__(
        self, gram: Gram, state: dict[str, Any], rng: torch.Generator, tasks: Sequence[int]
    ) -> tuple[Weights, dict[str, Any]]:
        """The weights of one step.

        Args:
            gram: `g_i . g_j` over the flattened shared parameters, for the tasks of this step.
            state: what `start` or the last call gave.
            rng: the generator of this step.
            tasks: which tasks of the stage the rows of the Gram matrix are, counted from 0: a step may lack some.
        """
