"""Distillation: the scores of a task's teacher beside its labels."""

from typing import Annotated, Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from minbert.losses.gold_share import ConstantShare, GoldShare, TeacherAnnealing
from minbert.losses.loss import Loss, Targets
from minbert.outputs import Outputs
from minbert.shapes import Scalar
from minbert.values import Family


class Distill(Loss):
    """`g * gold(score, y) + (1 - g) * apart(score, teacher)`, with the share g of the gold label.

    For classes `gold` is cross-entropy and `apart` is `T^2 KL(softmax(teacher / T) || softmax(score / T))`; for yes/no
    the same of the two Bernoulli distributions; for a rating both are squared errors on the 0-1 scale, without T. At
    `T = 1` the gradient is that of BAM's loss against the mixed target `g y + (1 - g) teacher`.

    Attributes:
        temperature: T, above 0; above 1 the classes that the teacher holds unlikely count more.
        gold: how the share of the gold label runs over the stage.

    Source: Hinton et al. 2015, "Distilling the Knowledge in a Neural Network", section 2; the share: Clark et al. 2019,
    "BAM! Born-Again Multi-Task Networks for Natural Language Understanding", "teacher annealing".
    """

    kinds = frozenset({"classes", "yes_no", "rating"})
    asks = "scores"
    kind: Literal["distill"] = "distill"
    temperature: float = Field(default=1.0, gt=0)
    gold: Annotated[GoldShare, Family(TeacherAnnealing, ConstantShare)] = TeacherAnnealing()

    def __call__(self, outputs: Outputs, targets: Targets) -> Scalar:
        """The mean over the rows."""
        assert targets.teacher is not None, "a stage gives every task with this loss a teacher"
        scores, share = outputs.scores.float(), self.gold(targets.progress)
        gold, apart = self._terms(scores, targets.teacher, targets)
        return share * gold + (1 - share) * apart

    def _terms(self, scores: Tensor, teacher: Tensor, targets: Targets) -> tuple[Tensor, Tensor]:
        """How far the scores are from the labels, and from the teacher's."""
        t = self.temperature
        if scores.shape[1] > 1:
            away = F.kl_div(
                F.log_softmax(scores / t, 1), F.log_softmax(teacher / t, 1), reduction="batchmean", log_target=True
            )
            return F.cross_entropy(scores, targets.labels), t * t * away
        score, taught = scores[:, 0], teacher[:, 0]
        if targets.labels.is_floating_point():
            return F.mse_loss(score, targets.scaled), F.mse_loss(score, taught)
        likely = (taught / t).sigmoid()
        # Without the teacher's own entropy, which no score moves, the least value would not be 0.
        away = F.binary_cross_entropy_with_logits(score / t, likely)
        away = away - F.binary_cross_entropy_with_logits(taught / t, likely)
        return F.binary_cross_entropy_with_logits(score, targets.labels.float()), t * t * away
