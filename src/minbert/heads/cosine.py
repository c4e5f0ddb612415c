"""Two vectors and the cosine between them."""

from typing import Literal

import torch.nn.functional as F
from torch import nn

from minbert.heads.head import HeadModule
from minbert.heads.projection import PairHead, both
from minbert.outputs import Outputs
from minbert.shapes import RowVectors


class CosineModule(HeadModule):
    """`cos(p(u), p(v))`."""

    def __init__(self, projection: nn.Module) -> None:
        super().__init__()
        self.projection = projection

    def forward(self, *vectors: RowVectors) -> Outputs:
        """The outputs of the rows, from two vectors each."""
        left, right = both(self.projection, vectors)
        return Outputs(F.cosine_similarity(left, right, dim=-1)[:, None], (left, right))


class Cosine(PairHead):
    """Dropout, a projection per sentence, their cosine; predicts `low + cos * (high - low)`, for ratings of pairs.

    Source: the report, section 4.2 (similarity): "unrelated have a cosine similarity of 0".
    """

    kind: Literal["cosine"] = "cosine"

    @property
    def learns(self) -> bool:
        """Whether it has a projection."""
        return self.project > 0

    def build(self, width: int, outputs: int) -> HeadModule:
        """The module for an encoder of this width; a cosine is one output."""
        return CosineModule(self.projection(width)[0])
