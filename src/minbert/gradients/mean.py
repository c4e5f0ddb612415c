"""The plain mean."""

from collections.abc import Sequence
from typing import Any, Literal

import torch

from minbert.gradients.merge import Merge
from minbert.shapes import Gram, Weights


class Mean(Merge):
    """`sum_i g_i / T` over the T tasks of the step."""

    kind: Literal["mean"] = "mean"

    def __call__(
        self, gram: Gram, state: dict[str, Any], rng: torch.Generator, tasks: Sequence[int]
    ) -> tuple[Weights, dict[str, Any]]:
        """The same for each."""
        return torch.full((len(gram),), 1 / len(gram)), state
