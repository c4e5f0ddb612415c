"""One minus the correlation of a batch: what the metric of ratings is made of."""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from minbert.losses.loss import Loss, Targets
from minbert.outputs import Outputs
from minbert.shapes import Scalar

STILL = 1e-4
"""Scores that differ by less than this, all rows together, are taken to be equal: their gradient stays bounded."""


class Pearson(Loss):
    """`1 - r(scores, labels)` over the rows of the batch.

    It says nothing of where the scores lie and how far apart; beside `mse` they stay on the scale of the ratings.

    Source: Pearson 1895; as a loss: Huang et al. 2022, "Knowledge Distillation from A Stronger Teacher".
    """

    kinds = frozenset({"rating"})
    kind: Literal["pearson"] = "pearson"

    def __call__(self, outputs: Outputs, targets: Targets) -> Scalar:
        """One number for the batch; 1 without a gradient where all labels are equal."""
        return 1 - (_standardised(outputs.scores.float()[:, 0]) * _standardised(targets.scaled)).sum()


def _standardised(values: Tensor) -> Tensor:
    """With mean 0 and length 1."""
    return F.normalize(values - values.mean(), dim=0, eps=STILL)
