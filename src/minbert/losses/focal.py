"""Focal loss: rows that are answered well count less."""

from typing import Literal

import torch
from pydantic import Field

from minbert.losses.likelihood import log_likelihood
from minbert.losses.loss import Loss, Targets
from minbert.outputs import Outputs
from minbert.shapes import Scalar


class Focal(Loss):
    """`-mean (1 - p)^gamma log p`, p the probability of the right answer.

    Attributes:
        gamma: 0 or more; 0 is cross-entropy.

    Source: Lin et al. 2017, equation 4.
    Deviates: for several classes p is the softmax's, where the paper takes a sigmoid for each.
    """

    kinds = frozenset({"classes", "yes_no"})
    kind: Literal["focal"] = "focal"
    gamma: float = Field(default=2.0, ge=0)

    def __call__(self, outputs: Outputs, targets: Targets) -> Scalar:
        """The mean over the rows."""
        said = log_likelihood(outputs.scores, targets.labels)
        # Below the least float a power under 1 has no gradient.
        missing = (-said.expm1()).clamp(min=torch.finfo(said.dtype).tiny)
        return -(missing**self.gamma * said).mean()
