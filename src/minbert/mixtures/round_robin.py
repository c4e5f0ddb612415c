"""One batch of each task in turn."""

from collections.abc import Sequence
from typing import Literal

import torch

from minbert.mixtures.mixture import Mixture


class RoundRobin(Mixture):
    """`1 2 3 1 2 3 1 3 3`: in turn; a task that has no batches left is passed over."""

    kind: Literal["round_robin"] = "round_robin"

    def __call__(self, batches: Sequence[int], rng: torch.Generator) -> list[int]:
        """The order of one epoch."""
        return [task for turn in range(max(batches)) for task, count in enumerate(batches) if turn < count]
