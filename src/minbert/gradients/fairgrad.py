"""What tasks gain, shared out fairly."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from pydantic import Field

from minbert.gradients.merge import Merge
from minbert.gradients.solving import shared_out, solved
from minbert.shapes import Gram, Weights


class FairGrad(Merge):
    """`G w = w^(-1 / alpha)` with `w > 0`: the d with the largest `sum_i (g_i . d)^(1 - alpha) / (1 - alpha)`.

    Attributes:
        alpha: 0.5 to 10; 1: proportional fairness, which is Nash-MTL; the larger, the more the worst-off task counts.

    Source: Ban & Ji 2024, "Fair Resource Allocation in Multi-Task Learning", equation 4.
    Deviates: G is divided by the mean of its diagonal, so the update grows with the gradients; its direction is the
    same. 1e-4 is added to the diagonal: where the gradients cancel out, weights would grow without bound.
    """

    kind: Literal["fairgrad"] = "fairgrad"
    alpha: float = Field(default=2.0, ge=0.5, le=10)

    def __call__(
        self, gram: Gram, state: dict[str, Any], rng: torch.Generator, tasks: Sequence[int]
    ) -> tuple[Weights, dict[str, Any]]:
        """Weights above 0."""
        return solved(gram, lambda part: shared_out(part, self.alpha)), state
