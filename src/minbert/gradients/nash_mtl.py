"""The tasks bargain over the direction."""

from collections.abc import Sequence
from typing import Any, Literal

import torch

from minbert.gradients.merge import Merge
from minbert.gradients.solving import shared_out, solved
from minbert.shapes import Gram, Weights


class NashMTL(Merge):
    """`G w = 1 / w` with `w > 0`: the direction that maximises the product of what the tasks gain, `g_i . d`.

    Source: Navon et al. 2022, "Multi-Task Learning as a Bargaining Game", claim 3.1.
    Deviates: the equation itself is solved, in every step: it is FairGrad's with alpha 1, and so are its other
    deviations. The paper solves a row of convex problems that come near it, starting from the last step's weights; here
    nothing need be remembered. Its limit of 1 on the norm of the update is left to `clip`.
    """

    kind: Literal["nash_mtl"] = "nash_mtl"

    def __call__(
        self, gram: Gram, state: dict[str, Any], rng: torch.Generator, tasks: Sequence[int]
    ) -> tuple[Weights, dict[str, Any]]:
        """Weights above 0."""
        return solved(gram, lambda part: shared_out(part, 1.0)), state
