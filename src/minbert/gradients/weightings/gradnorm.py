"""All tasks pull on the shared weights as hard as their progress calls for."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from pydantic import Field

from minbert.gradients.weightings.weighting import Losses, Seen, Weighting
from minbert.shapes import Weights

LEAST = 0.01
"""No weight falls below it, before all are brought back to their sum."""


class GradNorm(Weighting):
    """`w` goes down `sum_i | w_i n_i - N r_i^alpha |`, n_i being `||g_i||` on shared weights, N the mean of `w_i n_i`.

    r_i is how far the task lags: its loss over its first loss, divided by the mean of that over the tasks. After each
    step the weights of its tasks are brought back to the sum they had; they begin at 1.

    Attributes:
        alpha: 0 or more; 0: equal pull, the larger the more those that lag are favoured.
        lr: of the weights, above 0, by plain gradient descent.

    Source: Chen et al. 2018, "GradNorm", equations 1 and 2, algorithm 1.
    Deviates: the norm is over all shared weights, not those of their last layer; the gradient of w is divided by N, so
    that `lr` means the same at every size of the gradients; a weight is kept from falling below 0.01, before
    the sum is restored.
    """

    apart = True
    kind: Literal["gradnorm"] = "gradnorm"
    alpha: float = Field(default=1.5, ge=0)
    lr: float = Field(default=0.025, gt=0)

    def faults(self, epochs: int, shared: bool) -> list[str]:
        """Heads alone have no gradient that could be compared."""
        if shared:
            return []
        return ["expected shared weights that are trained for 'gradnorm', found none; add 'encoder' to update"]

    def start(self, squared: Sequence[bool]) -> dict[str, Any]:
        """Ones; no task's first loss is known yet."""
        ones = torch.ones(len(squared), dtype=torch.float64)
        return {"weights": ones, "first": ones * torch.nan}

    def weights(self, state: dict[str, Any], tasks: Sequence[int], losses: Losses | None) -> Weights:
        """As the last step left them."""
        found: Weights = state["weights"][list(tasks)]
        return found

    def after_step(self, state: dict[str, Any], seen: Seen) -> dict[str, Any]:
        """One step down the gradient, for the tasks that were there."""
        assert seen.norms is not None
        places = list(seen.tasks)
        weights, first = state["weights"].clone(), state["first"].clone()
        first[places] = torch.where(first[places].isnan(), seen.losses, first[places])
        mine, pulls = weights[places], weights[places] * seen.norms
        left = (seen.losses / first[places]).nan_to_num(nan=1.0)
        lag = left / left.mean() if left.mean() > 0 else torch.ones_like(left)
        mean = pulls.mean()
        if mean > 0:
            moved = mine - self.lr * torch.sign(pulls - mean * lag**self.alpha) * seen.norms / mean
            moved = moved.clamp(min=LEAST)
            weights[places] = moved * (mine.sum() / moved.sum())
        return {"weights": weights, "first": first}
