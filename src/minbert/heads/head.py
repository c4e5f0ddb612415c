"""What a head is: a value that says how, and a module that holds the weights."""

from abc import abstractmethod
from typing import ClassVar

import torch
from pydantic import Field
from torch import nn

from minbert.encoder import Pooling
from minbert.outputs import Outputs
from minbert.shapes import RowVectors
from minbert.values import Value


class HeadModule(nn.Module):
    """A head with weights: called with one vector per row, with two or with three."""

    def forward(self, *vectors: RowVectors) -> Outputs:
        """The outputs of the rows."""
        raise TypeError(f"{type(self).__name__} does not say what it computes")


class Head(Value):
    """How a task's vectors become outputs.

    Attributes:
        dropout: share of each vector dropped in training, 0 to below 1.
        pooling: how the tokens of a sequence become its vector; None: as the recipe's encoder says.
    """

    reads: ClassVar[int]
    """How many vectors a row gives: 1 (a pair is one joined sequence), 2 (each text of a pair on its own), 3 (both)."""

    kind: str
    dropout: float = Field(default=0.1, ge=0, lt=1)
    pooling: Pooling | None = None

    @property
    def learns(self) -> bool:
        """Whether the module has numbers of its own to learn."""
        return True

    @abstractmethod
    def build(self, width: int, outputs: int) -> HeadModule:
        """The module for an encoder of this width and a task of so many outputs."""


def start(head: HeadModule, generator: torch.Generator) -> HeadModule:
    """Gives a head its first weights: uniform within 1/sqrt(inputs), as torch's Linear does, from the generator."""
    for part in head.modules():
        if isinstance(part, nn.Linear):
            bound = part.in_features**-0.5
            for tensor in part.parameters():
                tensor.data.uniform_(-bound, bound, generator=generator)
    return head
