"""Squared earth mover's distance: for classes in order, a near miss costs less than a far one."""

from typing import Literal

import torch
import torch.nn.functional as F

from minbert.losses.loss import Loss, Targets
from minbert.outputs import Outputs
from minbert.shapes import Scalar


class SquaredEarthMover(Loss):
    """`mean over rows of sum_k (P_k - T_k)^2`: P_k what softmax gives the classes up to k, T_k 1 from the label on.

    The classes must stand in their order: `labels` of the task, or by default sorted, numbers as such. Alone it learns
    slowly where the softmax is sure of a wrong class; beside cross-entropy it does not.

    Source: Hou et al. 2016, "Squared Earth Mover's Distance-based Loss"; it is the ranked probability score
    of Epstein 1969.
    """

    kinds = frozenset({"classes"})
    kind: Literal["squared_emd"] = "squared_emd"

    def __call__(self, outputs: Outputs, targets: Targets) -> Scalar:
        """The mean over the rows."""
        given = outputs.scores.float().softmax(1).cumsum(1)
        places = torch.arange(given.shape[1], device=given.device)
        return F.mse_loss(given, (places >= targets.labels[:, None]).float(), reduction="sum") / len(given)
