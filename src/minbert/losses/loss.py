"""What a loss is: outputs and targets in, one number out."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from minbert.outputs import Outputs
from minbert.shapes import Scalar
from minbert.values import Value


@dataclass(frozen=True)
class Targets:
    """What the rows of a batch should come to.

    Attributes:
        labels: class numbers, 0/1, or ratings as they stand in the file; (rows,).
        low: the lowest rating; 0 for yes/no.
        high: the highest rating; 1 for yes/no.
        hashes: a number per text, (rows, texts): equal texts have equal numbers.
        teacher: the scores of the task's teacher, (rows, outputs), where a loss asks for them.
        teacher_vectors: its embeddings of each column of texts, (rows, its width), where a loss asks for them.
        progress: the share of the stage's steps that are done, 0 to below 1.
    """

    labels: Tensor
    low: float
    high: float
    hashes: Tensor
    teacher: Tensor | None = None
    teacher_vectors: tuple[Tensor, ...] = ()
    progress: float = 0.0

    @property
    def scaled(self) -> Tensor:
        """The labels on the 0-1 scale, as floats."""
        return (self.labels.float() - self.low) / (self.high - self.low)


class Loss(Value):
    """A number to make small.

    Attributes:
        weight: factor on this loss, above 0; the losses of a task are summed.
    """

    kinds: ClassVar[frozenset[str]]
    """Which kinds of task it fits."""

    reads: ClassVar[Literal["scores", "vectors"]] = "scores"
    """`vectors`: it wants both texts of a pair apart, as the head projected them (else as they are pooled)."""

    asks: ClassVar[Literal["nothing", "scores", "vectors"]] = "nothing"
    """What it wants of the task's teacher; see `Targets`."""

    kind: str
    weight: float = Field(default=1.0, gt=0)

    @abstractmethod
    def __call__(self, outputs: Outputs, targets: Targets) -> Scalar:
        """The loss of a batch: a mean over its rows, or one number for all of them where it couples them."""

    def learned(self, train: Targets) -> "Loss":
        """The loss with what it has to learn from the labels of train filled in."""
        return self

    def usable(self, targets: Targets) -> Tensor:
        """Which rows it can learn from, (rows,): all, unless a loss says otherwise."""
        return torch.ones(len(targets.labels), dtype=torch.bool)
