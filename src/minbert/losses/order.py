"""What scores lose by standing in another order than labels."""

import torch
from torch import Tensor

from minbert.shapes import Scalar


def order_loss(scores: Tensor, labels: Tensor) -> Scalar:
    """`log(1 + sum over rows with labels_i < labels_j of exp(scores_i - scores_j))`; 0 where all labels are equal.

    Args:
        scores: (rows,).
        labels: (rows,).
    """
    wrong = scores[:, None] - scores
    counted = labels[:, None] < labels
    return torch.cat([scores.new_zeros(1), wrong[counted]]).logsumexp(0)
