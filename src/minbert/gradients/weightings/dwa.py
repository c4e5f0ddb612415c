"""Tasks whose loss has fallen least count most."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from pydantic import Field

from minbert.gradients.weightings.weighting import Losses, Seen, Weighting
from minbert.shapes import Weights


class DWA(Weighting):
    """Dynamic weight average: `T softmax(r / temperature)` over the T tasks of the stage.

    r_i is the mean loss of the last epoch over that of the epoch before; 1 as long as there are not two.

    Attributes:
        temperature: above 0; the higher, the more alike the weights.

    Source: Liu, Johns & Davison 2019, "End-to-End Multi-Task Learning with Attention", equation 7.
    """

    kind: Literal["dwa"] = "dwa"
    temperature: float = Field(default=2.0, gt=0)

    def faults(self, epochs: int, shared: bool) -> list[str]:
        """In the first two epochs all weights are 1."""
        if epochs > 2:
            return []
        return [f"expected 3 epochs or more for 'dwa', found {epochs}: it compares the two before; set epochs"]

    def start(self, squared: Sequence[bool]) -> dict[str, Any]:
        """No epoch is over yet."""
        nothing = torch.zeros(len(squared), dtype=torch.float64)
        return {"sums": nothing, "steps": nothing, "last": nothing / 0, "before": nothing / 0}

    def weights(self, state: dict[str, Any], tasks: Sequence[int], losses: Losses | None) -> Weights:
        """From the two last epochs."""
        rates = (state["last"] / state["before"]).nan_to_num(nan=1.0, posinf=1.0)
        return (len(rates) * torch.softmax(rates / self.temperature, 0))[list(tasks)]

    def after_step(self, state: dict[str, Any], seen: Seen) -> dict[str, Any]:
        """One more step of this epoch's mean; at its end the epochs move on."""
        sums, steps = state["sums"].clone(), state["steps"].clone()
        sums[list(seen.tasks)] += seen.losses
        steps[list(seen.tasks)] += 1
        if not seen.ends_epoch:
            return {**state, "sums": sums, "steps": steps}
        nothing = torch.zeros_like(sums)
        return {"sums": nothing, "steps": nothing, "last": sums / steps, "before": state["last"]}
