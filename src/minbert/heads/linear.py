"""One vector, dropout, a linear layer."""

from typing import Literal

from torch import nn

from minbert.heads.head import Head, HeadModule
from minbert.outputs import Outputs
from minbert.shapes import RowVectors


class LinearModule(HeadModule):
    """`W dropout(v) + b`."""

    def __init__(self, width: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(width, outputs)

    def forward(self, *vectors: RowVectors) -> Outputs:
        """The outputs of the rows, from one vector each."""
        (vector,) = vectors
        return Outputs(self.linear(self.dropout(vector)))


class Linear(Head):
    """A linear layer over one vector per row; a pair is read joined, with real segment ids.

    Source: the report, section 4.2 (sentiment); Devlin et al. 2018, section 4.1 (pairs).
    """

    reads = 1
    kind: Literal["linear"] = "linear"

    def build(self, width: int, outputs: int) -> HeadModule:
        """The module for an encoder of this width and a task of so many outputs."""
        return LinearModule(width, outputs, self.dropout)
