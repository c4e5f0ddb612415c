"""No weighting."""

from collections.abc import Sequence
from typing import Any, Literal

import torch

from minbert.gradients.weightings.weighting import Losses, Weighting
from minbert.shapes import Weights


class Equal(Weighting):
    """`sum_i L_i`."""

    plain = True
    kind: Literal["equal"] = "equal"

    def weights(self, state: dict[str, Any], tasks: Sequence[int], losses: Losses | None) -> Weights:
        """Ones."""
        return torch.ones(len(tasks))
