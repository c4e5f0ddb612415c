"""All batches of the epoch, shuffled."""

from collections.abc import Sequence
from typing import Literal

import torch

from minbert.mixtures.mixture import Mixture


class Proportional(Mixture):
    """Each task as often as it has batches, in random order."""

    kind: Literal["proportional"] = "proportional"

    def __call__(self, batches: Sequence[int], rng: torch.Generator) -> list[int]:
        """The order of one epoch."""
        tasks = torch.repeat_interleave(torch.arange(len(batches)), torch.tensor(batches))
        order: list[int] = tasks[torch.randperm(len(tasks), generator=rng)].tolist()
        return order
