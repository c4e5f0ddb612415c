"""How far apart two passes over the same rows are."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from minbert.shapes import Scores


def divergence(kind: str, first: Scores, second: Scores) -> Float[Tensor, " rows"]:
    """How far apart two scores of each row are; 0 where they agree.

    `classes`: `KL(p, q) + KL(q, p) = sum_c (p_c - q_c) (log p_c - log q_c)`; `yes_no`: the same over yes and no, which
    for logits a, b is `(sigmoid a - sigmoid b) (a - b)`; `rating`: `(a - b)^2`.

    Args:
        kind: of the task.
        first: logits, or numbers on the 0-1 scale.
        second: the same of another pass.

    Source: Jiang et al. 2020, section 3.1.
    Deviates: of one logit the softmax is 1, and its divergence 0 whatever the logit: yes_no is a Bernoulli variable.
    """
    a, b = first.float(), second.float()
    if kind == "classes":
        a, b = F.log_softmax(a, dim=-1), F.log_softmax(b, dim=-1)
        return ((a.exp() - b.exp()) * (a - b)).sum(-1)
    if kind == "yes_no":
        return ((torch.sigmoid(a) - torch.sigmoid(b)) * (a - b)).sum(-1)
    return (a - b).square().sum(-1)
