"""All batches of the first task, then all of the second, and so on."""

from typing import Any, Literal

import torch
from torch import Tensor

from minbert.mixtures.mixture import Ahead, Mixture, by_batches


class Sequential(Mixture):
    """`1 1 1 2 2 3 3 3`: what the report calls round robin.

    Source: the report, section 4.4.
    """

    phased = True
    kind: Literal["sequential"] = "sequential"

    def frequencies(self, ahead: Ahead, state: dict[str, Any]) -> Tensor:
        """As many as each task has batches."""
        return by_batches(ahead)

    def __call__(self, ahead: Ahead, state: dict[str, Any], rng: torch.Generator) -> list[int]:
        """The order of one epoch."""
        return [task for task, count in enumerate(ahead.batches) for _ in range(count)]
