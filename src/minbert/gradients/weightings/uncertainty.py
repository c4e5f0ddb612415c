"""Tasks that are noisy by nature count less."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from pydantic import Field

from minbert.gradients.weightings.weighting import Losses, Seen, Weighting
from minbert.shapes import Weights


class Uncertainty(Weighting):
    """`sum_i k_i exp(-s_i) L_i + s_i / 2`, with k 1/2 for tasks with a squared error, else 1, and s_i learned.

    s is the logarithm of the task's noise, its variance or its temperature; it begins at 0 and follows
    `s_i -= lr (1/2 - k_i exp(-s_i) L_i)`. A task's weight comes to rest at `1 / (2 L_i)`.

    Attributes:
        lr: of s, above 0, by plain gradient descent.

    Source: Kendall, Gal & Cipolla 2018, "Multi-Task Learning Using Uncertainty", equations 5, 7 and 10.
    Deviates: they move s with the weights' optimizer.
    """

    kind: Literal["uncertainty"] = "uncertainty"
    lr: float = Field(default=1e-2, gt=0)

    def start(self, squared: Sequence[bool]) -> dict[str, Any]:
        """Variances of 1."""
        factors = torch.tensor([0.5 if one else 1.0 for one in squared], dtype=torch.float64)
        return {"log_variances": torch.zeros(len(squared), dtype=torch.float64), "factors": factors}

    def weights(self, state: dict[str, Any], tasks: Sequence[int], losses: Losses | None) -> Weights:
        """`k_i exp(-s_i)`."""
        found: Weights = (state["factors"] * torch.exp(-state["log_variances"]))[list(tasks)]
        return found

    def after_step(self, state: dict[str, Any], seen: Seen) -> dict[str, Any]:
        """One step down the gradient, for the tasks that were there."""
        moved = state["log_variances"].clone()
        moved[list(seen.tasks)] -= self.lr * (0.5 - self.weights(state, seen.tasks, None) * seen.losses)
        return {**state, "log_variances": moved}
