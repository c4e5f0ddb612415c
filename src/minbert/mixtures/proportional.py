"""All batches of the epoch, shuffled."""

from typing import Any, Literal

import torch
from torch import Tensor

from minbert.mixtures.mixture import Ahead, Mixture, by_batches


class Proportional(Mixture):
    """Each task as often as it has batches, in random order."""

    kind: Literal["proportional"] = "proportional"

    def frequencies(self, ahead: Ahead, state: dict[str, Any]) -> Tensor:
        """As many as each task has batches."""
        return by_batches(ahead)

    def __call__(self, ahead: Ahead, state: dict[str, Any], rng: torch.Generator) -> list[int]:
        """The order of one epoch."""
        tasks = torch.repeat_interleave(torch.arange(len(ahead.batches)), torch.tensor(ahead.batches))
        order: list[int] = tasks[torch.randperm(len(tasks), generator=rng)].tolist()
        return order
