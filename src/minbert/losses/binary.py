"""Binary cross-entropy on one logit."""

from typing import Literal

import torch.nn.functional as F

from minbert.losses.loss import Loss, Targets
from minbert.outputs import Outputs
from minbert.shapes import Scalar


class BinaryCrossEntropy(Loss):
    """`-mean (y log p + (1 - y) log(1 - p))` with `p = sigmoid(score)`, computed from the logit.

    Source: the report, equation 1.
    """

    kinds = frozenset({"yes_no"})
    kind: Literal["bce"] = "bce"

    def __call__(self, outputs: Outputs, targets: Targets) -> Scalar:
        """The mean over the rows."""
        return F.binary_cross_entropy_with_logits(outputs.scores.float()[:, 0], targets.labels.float())
