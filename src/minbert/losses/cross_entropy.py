"""Cross-entropy over classes."""

from typing import Literal

import torch.nn.functional as F
from pydantic import Field

from minbert.losses.loss import Loss, Targets
from minbert.outputs import Outputs
from minbert.shapes import Scalar


class CrossEntropy(Loss):
    """`-mean log softmax(scores)[label]`.

    Attributes:
        smoothing: share of the target spread evenly over all classes, 0 to below 1.

    Source: the report, section 4.4; smoothing: Szegedy et al. 2016, section 7.
    """

    kinds = frozenset({"classes"})
    kind: Literal["cross_entropy"] = "cross_entropy"
    smoothing: float = Field(default=0.0, ge=0, lt=1)

    def __call__(self, outputs: Outputs, targets: Targets) -> Scalar:
        """The mean over the rows."""
        return F.cross_entropy(outputs.scores.float(), targets.labels, label_smoothing=self.smoothing)
