"""Multiple negatives ranking: each text should find its partner among those of the batch."""

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from minbert.losses.loss import Loss, Targets
from minbert.outputs import Outputs
from minbert.shapes import Scalar


class MultipleNegativesRanking(Loss):
    """`-mean_i (s cos(a_i, b_i) - log sum_j exp(s cos(a_i, b_j)))` over the positive pairs of the batch.

    Attributes:
        scale: s, above 0. With 32 pairs, cosines of .8 and .6 give the partner a probability of .038 at
            1 and of .638 at 20.
        positive: ratings from here on count as positive, in the file's own units; None: the top fifth of the range.
            Yes/no tasks: the yes pairs.
        symmetric: whether b must find a as well; the mean of both directions.

    Source: Henderson et al. 2017, section 4.4; the report, equation 3.
    Deviates: the report's `S(x_i - y_i)` is `S(x_i, y_i)`, and its sign is turned round (it is to be made small). A
    text of the batch that equals a_i or b_i, or is the partner of one that equals a_i, is no negative and is masked.
    """

    kinds = frozenset({"yes_no", "rating"})
    reads = "vectors"
    kind: Literal["mnr"] = "mnr"
    scale: float = Field(default=20.0, gt=0)
    positive: float | None = None
    symmetric: bool = False

    def usable(self, targets: Targets) -> Tensor:
        """The positive pairs."""
        top_fifth = targets.high - 0.2 * (targets.high - targets.low)
        return targets.labels >= (top_fifth if self.positive is None else self.positive)

    def __call__(self, outputs: Outputs, targets: Targets) -> Scalar:
        """The mean over the positive pairs; 0 where the batch has none."""
        chosen = self.usable(targets)
        left, right = (F.normalize(vectors.float(), dim=-1)[chosen] for vectors in outputs.vectors)
        if not len(left):
            return 0.0 * (left.sum() + right.sum())
        logits = self.scale * left @ right.T
        same = _same(targets.hashes[chosen])
        partner = torch.arange(len(left), device=left.device)
        loss = F.cross_entropy(logits.masked_fill(same, -torch.inf), partner)
        if self.symmetric:
            loss = (loss + F.cross_entropy(logits.T.masked_fill(same.T, -torch.inf), partner)) / 2
        return loss


def _same(hashes: Tensor) -> Tensor:
    """Where (i, j) with i != j is no negative, because texts are equal."""
    a, b = hashes[:, 0], hashes[:, 1]
    same = (b[:, None] == b) | (a[:, None] == a) | (a[:, None] == b)
    return same & ~torch.eye(len(a), dtype=torch.bool, device=a.device)
