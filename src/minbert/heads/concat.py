"""Two vectors, projected, concatenated, a linear layer."""

from typing import Literal

import torch
from torch import nn

from minbert.heads.head import HeadModule
from minbert.heads.projection import PairHead, both
from minbert.outputs import Outputs
from minbert.shapes import RowVectors


class ConcatModule(HeadModule):
    """`W [p(u); p(v)] + b`."""

    def __init__(self, projection: nn.Module, width: int, outputs: int) -> None:
        super().__init__()
        self.projection = projection
        self.linear = nn.Linear(2 * width, outputs)

    def forward(self, *vectors: RowVectors) -> Outputs:
        """The outputs of the rows, from two vectors each."""
        left, right = both(self.projection, vectors)
        return Outputs(self.linear(torch.cat([left, right], dim=-1)), (left, right))


class Concat(PairHead):
    """Dropout, a projection per sentence, concatenation, a linear layer.

    Source: the report, section 4.2 (paraphrase).
    """

    kind: Literal["concat"] = "concat"

    def build(self, width: int, outputs: int) -> HeadModule:
        """The module for an encoder of this width and a task of so many outputs."""
        projection, narrow = self.projection(width)
        return ConcatModule(projection, narrow, outputs)
