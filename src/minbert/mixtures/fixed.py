"""Shares by task, as the recipe says."""

from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from minbert.mixtures.mixture import Ahead, Mixture


class Fixed(Mixture):
    """`p_i ~ shares_i`, in random order.

    Attributes:
        shares: by task, above 0; a task not named has 1, so with none named all tasks come alike.

    Source: Raffel et al. 2020, section 3.5.2: equal mixing, and shares in general.
    Deviates: an epoch has the number of each task's batches that comes nearest to p_i, at least one, instead of draws.
    """

    kind: Literal["fixed"] = "fixed"
    shares: dict[str, Annotated[float, Field(gt=0)]] = Field(default={})

    def frequencies(self, ahead: Ahead, state: dict[str, Any]) -> Tensor:
        """The shares of the stage's tasks."""
        return torch.tensor([self.shares.get(task, 1.0) for task in ahead.tasks], dtype=torch.float64)
