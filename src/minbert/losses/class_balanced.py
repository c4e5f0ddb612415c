"""Class-balanced cross-entropy: rare classes count more, by their effective number of rows."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from minbert.losses.likelihood import log_likelihood
from minbert.losses.loss import Loss, Targets
from minbert.outputs import Outputs
from minbert.shapes import Scalar


class ClassBalanced(Loss):
    """`-mean w_y log p_y` with `w_c` proportional to `(1 - beta) / (1 - beta^n_c)`; their mean over the classes is 1.

    Attributes:
        beta: 0 to below 1; 0 weighs all classes alike, near 1 by 1 / n_c.
        counts: n_c, the rows of each class in train; filled in by `learned`, no key of a recipe.

    Source: Cui et al. 2019, sections 3 and 4.
    Deviates: a class that train lacks has weight 0 and is left out of the mean.
    """

    kinds = frozenset({"classes", "yes_no"})
    kind: Literal["class_balanced"] = "class_balanced"
    beta: float = Field(default=0.999, ge=0, lt=1)
    counts: tuple[int, ...] = Field(default=(), max_length=0, exclude=True)

    def learned(self, train: Targets) -> "Loss":
        """With the counts filled in."""
        return self.model_copy(update={"counts": tuple(torch.bincount(train.labels.long()).tolist())})

    @property
    def weights(self) -> Tensor:
        """The weight of each class."""
        rows = torch.tensor(self.counts, dtype=torch.float64)
        rare = torch.where(rows > 0, (1 - self.beta) / (1 - self.beta**rows), 0.0)
        return (rare / rare.sum() * (rows > 0).sum()).float()

    def __call__(self, outputs: Outputs, targets: Targets) -> Scalar:
        """The mean over the rows, each with the weight of its class."""
        weights = self.weights.to(outputs.scores.device)[targets.labels.long()]
        return -(weights * log_likelihood(outputs.scores, targets.labels)).mean()
