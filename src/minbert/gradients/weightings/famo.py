"""All losses fall at the same rate, as far as losses alone can tell."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from pydantic import Field

from minbert.gradients.weightings.weighting import Losses, Seen, Weighting
from minbert.shapes import Weights

SMALL = 1e-8
"""Added to a loss before its logarithm is taken, and to the root in Adam."""

BETAS = (0.9, 0.999)


class FAMO(Weighting):
    """Fast adaptive multitask optimization: `c z_i / L_i` with `z = softmax(w)` and c such that the weights sum to 1.

    After the step the same rows are looked at once more, for their losses L', and w goes down
    `sum_i z_i (log L_i - log L'_i)` by Adam: what fell fast counts less. All of it over the tasks that the step holds.
    Losses must be above 0.

    Attributes:
        lr: of w, above 0.
        weight_decay: pulls w to 0, 0 or more.

    Source: Liu et al. 2023, "FAMO: Fast Adaptive Multitask Optimization", algorithm 2; Adam as in their code.
    """

    apart = True
    again = True
    kind: Literal["famo"] = "famo"
    lr: float = Field(default=0.025, gt=0)
    weight_decay: float = Field(default=1e-3, ge=0)

    def start(self, squared: Sequence[bool]) -> dict[str, Any]:
        """Even shares, and an Adam that has made no step."""
        return {key: torch.zeros(len(squared), dtype=torch.float64) for key in ("w", "m", "v", "steps")}

    def weights(self, state: dict[str, Any], tasks: Sequence[int], losses: Losses | None) -> Weights:
        """Shares that sum to 1."""
        assert losses is not None
        parts = torch.softmax(state["w"][list(tasks)], 0) / (losses + SMALL)
        return parts / parts.sum()

    def after_step(self, state: dict[str, Any], seen: Seen) -> dict[str, Any]:
        """One step of Adam on w, for the tasks that were there."""
        assert seen.later is not None
        places = list(seen.tasks)
        w, m, v, steps = (state[key][places] for key in ("w", "m", "v", "steps"))
        fell = torch.log(seen.losses + SMALL) - torch.log(seen.later + SMALL)
        shares = torch.softmax(w, 0)
        gradient = shares * (fell - shares @ fell) + self.weight_decay * w
        first, second = BETAS
        steps, m, v = steps + 1, first * m + (1 - first) * gradient, second * v + (1 - second) * gradient**2
        w = w - self.lr * (m / (1 - first**steps)) / ((v / (1 - second**steps)).sqrt() + SMALL)
        found = {"w": w, "m": m, "v": v, "steps": steps}
        return {key: state[key].index_copy(0, torch.tensor(places), value) for key, value in found.items()}
