"""All batches of the first task, then all of the second, and so on."""

from collections.abc import Sequence
from typing import Literal

import torch

from minbert.mixtures.mixture import Mixture


class Sequential(Mixture):
    """`1 1 1 2 2 3 3 3`: what the report calls round robin.

    Source: the report, section 4.4.
    """

    phased = True
    kind: Literal["sequential"] = "sequential"

    def __call__(self, batches: Sequence[int], rng: torch.Generator) -> list[int]:
        """The order of one epoch."""
        return [task for task, count in enumerate(batches) for _ in range(count)]
