"""What the heads of two vectors share: dropout, then a projection to a narrower width, the same for both texts."""

from pydantic import Field
from torch import nn

from minbert.heads.head import Head
from minbert.shapes import Projected, RowVectors


class PairHead(Head):
    """A head that reads the two texts of a pair apart.

    Attributes:
        project: width of the projection that each vector passes; 0: none.
    """

    reads = 2
    project: int = Field(default=0, ge=0)

    def projection(self, width: int) -> tuple[nn.Module, int]:
        """Dropout and projection as one module, and the width behind it."""
        if not self.project:
            return nn.Dropout(self.dropout), width
        return nn.Sequential(nn.Dropout(self.dropout), nn.Linear(width, self.project)), self.project


def both(projection: nn.Module, vectors: tuple[RowVectors, ...]) -> tuple[Projected, Projected]:
    """Both texts' vectors through the same projection."""
    left, right = vectors
    return projection(left), projection(right)
