"""A pair read twice: joint, and its two texts apart."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn

from minbert.heads.head import Head, HeadModule
from minbert.outputs import Outputs
from minbert.shapes import RowVectors

SCALE = 20.0
"""Factor on the cosine: beside the other features a number within 1 would be learned too slowly. The losses on cosines
have the same."""


class BothModule(HeadModule):
    """`W [v; |a - b|; a * b; 20 cos(a, b)] + c` with v of the joint pair, a and b of its texts apart."""

    def __init__(self, width: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(3 * width + 1, outputs)

    def forward(self, *vectors: RowVectors) -> Outputs:
        """The outputs of the rows, from three vectors each."""
        whole, left, right = vectors
        features = self.dropout(torch.cat([whole, (left - right).abs(), left * right], dim=-1))
        cosine = SCALE * F.cosine_similarity(left, right, dim=-1)[:, None]
        return Outputs(self.linear(torch.cat([features, cosine], dim=-1)), (left, right))


class Both(Head):
    """A linear layer over the vector of the joint pair, and over distance, product and cosine of its texts apart.

    It costs what both readings cost together. The texts apart are pooled as embeddings are, so this head and losses on
    vectors train what `embed` gives.

    Source: Devlin et al. 2018, section 4.1 (joint); Reimers & Gurevych 2019, section 3 (apart).
    Deviates: neither reads a pair in both ways, nor gives the cosine itself.
    """

    reads = 3
    kind: Literal["both"] = "both"

    def build(self, width: int, outputs: int) -> HeadModule:
        """The module for an encoder of this width and a task of so many outputs."""
        return BothModule(width, outputs, self.dropout)
