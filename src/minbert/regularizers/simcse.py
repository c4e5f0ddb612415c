"""SimCSE: a text should find itself, seen through another dropout mask, among the texts of the batch."""

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field

from minbert.outputs import Outputs
from minbert.regularizers.again import Again
from minbert.regularizers.regularizer import Memory, Penalty, Regularizer


class SimCSE(Regularizer):
    """`-mean_i log (exp(s cos(h_i, h'_i)) / sum_j exp(s cos(h_i, h'_j)))` over the texts of a batch.

    h and h' are the pooled vectors of two passes with different dropout masks. It needs no labels. The texts of a pair
    are encoded apart, and both of them stand among the texts; a text that equals another is no negative of it.

    Attributes:
        scale: s, above 0; one over the paper's temperature.

    Source: Gao et al. 2021, equation 4 (unsupervised).
    Deviates: equal texts are masked.
    """

    reads = "vectors"
    kind: Literal["simcse"] = "simcse"
    scale: float = Field(default=20.0, gt=0)

    def __call__(self, outputs: Outputs, again: Again, state: Memory) -> Penalty:
        """The mean over the texts."""
        first, second = (F.normalize(again.texts(mask).float(), dim=-1) for mask in (0, 1))
        own = torch.arange(len(first), device=first.device)
        same = (again.hashes[:, None] == again.hashes) & (own[:, None] != own)
        logits = (self.scale * first @ second.T).masked_fill(same, -torch.inf)
        return Penalty(F.cross_entropy(logits, own))
