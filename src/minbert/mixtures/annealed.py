"""From as large as tasks are to nearly all alike, batch by batch."""

from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from minbert.mixtures.mixture import Ahead, Mixture, by_rows


class Annealed(Mixture):
    """`p_i ~ N_i^alpha`, `alpha = 1 - (1 - final) progress`, N_i the rows of task i's epoch.

    Attributes:
        final: alpha at the stage's end, 0 (all alike) to 1 (by size).

    Source: Stickland and Murray 2019, "Sampling tasks".
    Deviates: progress runs from 0 at the first batch of the stage to 1 at its last; the paper's `(e - 1) / (E - 1)`
    stands still within an epoch and is undefined for one. An epoch has the number of each task's batches that comes
    nearest to the sum of p_i, at least one, instead of draws.
    """

    kind: Literal["annealed"] = "annealed"
    final: float = Field(default=0.2, ge=0, le=1)

    def frequencies(self, ahead: Ahead, state: dict[str, Any]) -> Tensor:
        """`N_i^alpha`, batch by batch."""
        places = ahead.epoch * ahead.total + torch.arange(ahead.total, dtype=torch.float64)
        progress = places / max(ahead.epochs * ahead.total - 1, 1)
        return by_rows(ahead) ** (1 - (1 - self.final) * progress)[:, None]
