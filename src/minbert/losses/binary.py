"""Binary cross-entropy on one logit."""

from typing import Literal

import torch.nn.functional as F
from pydantic import Field

from minbert.losses.loss import Loss, Targets
from minbert.outputs import Outputs
from minbert.shapes import Scalar


class BinaryCrossEntropy(Loss):
    """`-mean (y log p + (1 - y) log(1 - p))` with `p = sigmoid(score)`, computed from the logit.

    Attributes:
        smoothing: share of the target spread evenly over yes and no, 0 to below 1.

    Source: the report, equation 1; smoothing: Szegedy et al. 2016, section 7.
    """

    kinds = frozenset({"yes_no"})
    kind: Literal["bce"] = "bce"
    smoothing: float = Field(default=0.0, ge=0, lt=1)

    def __call__(self, outputs: Outputs, targets: Targets) -> Scalar:
        """The mean over the rows."""
        labels = (1 - self.smoothing) * targets.labels.float() + self.smoothing / 2
        return F.binary_cross_entropy_with_logits(outputs.scores.float()[:, 0], labels)
