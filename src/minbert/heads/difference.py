"""Two vectors, their distance and their product, a linear layer."""

from typing import Literal

import torch
from torch import nn

from minbert.heads.head import HeadModule
from minbert.heads.projection import PairHead, both
from minbert.outputs import Outputs
from minbert.shapes import RowVectors


class DifferenceModule(HeadModule):
    """`W [|u - v|; u * v] + b`."""

    def __init__(self, projection: nn.Module, width: int, outputs: int) -> None:
        super().__init__()
        self.projection = projection
        self.linear = nn.Linear(2 * width, outputs)

    def forward(self, *vectors: RowVectors) -> Outputs:
        """The outputs of the rows, from two vectors each."""
        left, right = both(self.projection, vectors)
        return Outputs(self.linear(torch.cat([(left - right).abs(), left * right], dim=-1)), (left, right))


class Difference(PairHead):
    """A linear layer over `|u - v|` and `u * v`: the same whichever text stands first.

    Source: Reimers & Gurevych 2019, section 3.
    Deviates: they give u and v themselves as well, which lets the order of a pair matter.
    """

    kind: Literal["difference"] = "difference"

    def build(self, width: int, outputs: int) -> HeadModule:
        """The module for an encoder of this width and a task of so many outputs."""
        projection, narrow = self.projection(width)
        return DifferenceModule(projection, narrow, outputs)
