"""What a mixture is: in which order the batches of an epoch come."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch

from minbert.values import Value


class Mixture(Value):
    """Which task comes next."""

    phased: ClassVar[bool] = False
    """Whether a task's batches come in one block, so that a step never sees two tasks."""

    kind: str

    @abstractmethod
    def __call__(self, batches: Sequence[int], rng: torch.Generator) -> list[int]:
        """The order of one epoch.

        Args:
            batches: how many batches each task has in this epoch, each 1 or more.
            rng: the generator of this stage and epoch.

        Returns:
            A task number per batch; each task comes as often as it has batches.
        """
