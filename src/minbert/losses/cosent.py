"""CoSENT: pairs with a higher label should have a higher cosine."""

from typing import Literal

import torch.nn.functional as F
from pydantic import Field

from minbert.losses.loss import Loss, Targets
from minbert.losses.order import order_loss
from minbert.outputs import Outputs
from minbert.shapes import Scalar


class CoSENT(Loss):
    """`log(1 + sum over rows with y_i < y_j of exp(s (cos_i - cos_j)))`: only the order of the labels counts.

    Attributes:
        scale: s, above 0.

    Source: Huang et al. 2024, "CoSENT: Consistent Sentence Embedding via Similarity Ranking".
    """

    kinds = frozenset({"yes_no", "rating"})
    reads = "vectors"
    kind: Literal["cosent"] = "cosent"
    scale: float = Field(default=20.0, gt=0)

    def __call__(self, outputs: Outputs, targets: Targets) -> Scalar:
        """One number for all pairs of rows; 0 where all labels are equal."""
        left, right = (F.normalize(vectors.float(), dim=-1) for vectors in outputs.vectors)
        return order_loss(self.scale * (left * right).sum(1), targets.labels)
