"""Tasks that are further from what they can reach come more often."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from minbert.mixtures.mixture import Ahead, Mixture, by_rows


class Progress(Mixture):
    """`p_i ~ max(reach_i - score_i, least)`, in random order; the score is the task's metric after the last epoch.

    It is measured on the rows held out to select on: on dev it would be training on dev. With small `samples` epochs
    are short, and it follows sooner.

    Attributes:
        reach: by task, the score that it reaches when trained alone; a task not named has 1.
        least: the least distance, above 0: a task that is there, or beyond, goes on a little.

    Source: Gottumukkala et al. 2020, dynamic sampling.
    Deviates: before the first scores p_i goes by the rows of each task's epoch; an epoch has the number of each task's
    batches that comes nearest to p_i, at least one, instead of draws.
    """

    adaptive: ClassVar[bool] = True
    kind: Literal["progress"] = "progress"
    reach: dict[str, Annotated[float, Field(ge=-1, le=1)]] = Field(default={})
    least: float = Field(default=0.01, gt=0, le=1)

    def after_epoch(self, tasks: Sequence[str], state: dict[str, Any], scores: Mapping[str, float]) -> dict[str, Any]:
        """With the distances of the stage's tasks."""
        # A task that cannot be scored, since no head of it is trained, is as far away as can be.
        away = {task: self.reach.get(task, 1.0) - scores.get(task, 0.0) for task in tasks}
        return {**state, "away": {task: max(distance, self.least) for task, distance in away.items()}}

    def frequencies(self, ahead: Ahead, state: dict[str, Any]) -> Tensor:
        """The distances; before there are any, the rows."""
        if "away" not in state:
            return by_rows(ahead)
        return torch.tensor([state["away"][task] for task in ahead.tasks], dtype=torch.float64)
