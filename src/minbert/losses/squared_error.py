"""Mean squared error on the 0-1 scale."""

from typing import Literal

import torch.nn.functional as F

from minbert.losses.loss import Loss, Targets
from minbert.outputs import Outputs
from minbert.shapes import Scalar


class SquaredError(Loss):
    """`mean (score - (y - low) / (high - low))^2`; with the cosine head the score is the cosine.

    Source: the report, equation 2.
    Deviates: the report's minus sign is an error and is left out; labels are scaled to 0-1, where the report scales the
    cosine to 0-5: the same with weight 25.
    """

    kinds = frozenset({"rating"})
    kind: Literal["mse"] = "mse"

    def __call__(self, outputs: Outputs, targets: Targets) -> Scalar:
        """The mean over the rows."""
        return F.mse_loss(outputs.scores.float()[:, 0], targets.scaled)
