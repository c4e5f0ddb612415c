"""What a mixture is: how often each task comes in an epoch, and in which order."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from minbert.mixtures.shares import apportioned, drifting
from minbert.values import Value


@dataclass(frozen=True)
class Ahead:
    """The epoch that a mixture orders.

    Attributes:
        tasks: the names of the stage's tasks.
        rows: how many rows each task's epoch has, 1 or more.
        batches: how many batches that is, 1 or more: together they are what the epoch has, whoever they go to.
        epoch: its number within the stage, from 0.
        epochs: of the stage.
    """

    tasks: Sequence[str]
    rows: Sequence[int]
    batches: Sequence[int]
    epoch: int = 0
    epochs: int = 1

    @property
    def total(self) -> int:
        """Batches of the epoch."""
        return sum(self.batches)


class Mixture(Value):
    """Which task comes next.

    Memory stays outside: `state = mixture.start()`, `state = mixture.after_epoch(tasks, state, scores)`; within an
    epoch it is the same, so a run that was killed goes on with the same order.
    """

    phased: ClassVar[bool] = False
    """Whether a task's batches come in one block, so that a step never sees two tasks."""

    adaptive: ClassVar[bool] = False
    """Whether the next epoch depends on the scores on the rows held out to select on."""

    kind: str

    def start(self) -> dict[str, Any]:
        """The state before the first epoch: tensors and numbers that a snapshot can hold."""
        return {}

    def after_epoch(self, tasks: Sequence[str], state: dict[str, Any], scores: Mapping[str, float]) -> dict[str, Any]:
        """The state for the next epoch.

        Args:
            tasks: of the stage.
            state: what `start` or the last call gave.
            scores: each task's metric on the rows held out to select on.
        """
        return state

    @abstractmethod
    def frequencies(self, ahead: Ahead, state: dict[str, Any]) -> Tensor:
        """How often each task comes, above 0 and up to a factor, (tasks,) or batch by batch (total, tasks)."""

    def counts(self, ahead: Ahead, state: dict[str, Any]) -> list[int]:
        """Batches of each task in an epoch, each 1 or more, together `ahead.total`."""
        return apportioned(self._expected(ahead, state).sum(0), ahead.total)

    def __call__(self, ahead: Ahead, state: dict[str, Any], rng: torch.Generator) -> list[int]:
        """The order of one epoch.

        Args:
            ahead: the epoch.
            state: as it was when the epoch began.
            rng: the generator of this stage and epoch.

        Returns:
            A task number per batch; each task comes as often as `counts` says.
        """
        return drifting(self._expected(ahead, state), self.counts(ahead, state), rng)

    def _expected(self, ahead: Ahead, state: dict[str, Any]) -> Tensor:
        """The probability of each task for each batch, (total, tasks)."""
        shares = self.frequencies(ahead, state).double().expand(ahead.total, len(ahead.tasks))
        return shares / shares.sum(1, keepdim=True)


def by_batches(ahead: Ahead) -> Tensor:
    """Shares with which every task comes as often as it has batches."""
    return torch.tensor(ahead.batches, dtype=torch.float64)


def by_rows(ahead: Ahead) -> Tensor:
    """N_i: the rows of each task's epoch."""
    return torch.tensor(ahead.rows, dtype=torch.float64)
