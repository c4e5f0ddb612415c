"""One batch of each task in turn."""

from typing import Any, Literal

import torch
from torch import Tensor

from minbert.mixtures.mixture import Ahead, Mixture, by_batches


class RoundRobin(Mixture):
    """`1 2 3 1 2 3 1 3 3`: in turn; a task that has no batches left is passed over."""

    kind: Literal["round_robin"] = "round_robin"

    def frequencies(self, ahead: Ahead, state: dict[str, Any]) -> Tensor:
        """As many as each task has batches."""
        return by_batches(ahead)

    def __call__(self, ahead: Ahead, state: dict[str, Any], rng: torch.Generator) -> list[int]:
        """The order of one epoch."""
        turns = range(max(ahead.batches))
        return [task for turn in turns for task, count in enumerate(ahead.batches) if turn < count]
