"""What an adapter is: a value that says how, and what it adds to an encoder or to a task."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import nn

from minbert.encoder.config import EncoderConfig
from minbert.encoder.layout import Layout
from minbert.shapes import Hidden, Vectors
from minbert.values import Value


class TaskAdapter(nn.Module, ABC):
    """What one task adds to every layer: called with the tokens of the task's own batches."""

    @abstractmethod
    def forward(self, number: int, hidden: Hidden, layout: Layout, firsts: bool = False) -> Hidden | Vectors:
        """What is added to a layer's attention half, behind its norm.

        Args:
            number: of the layer, from 0.
            hidden: what went into the layer; rows behind the last token are padding.
            layout: of these tokens.
            firsts: a row for each sequence's first token only.
        """


class Adapter(Value):
    """A small part that is trained beside the weights of the encoder, or instead of them.

    It begins as the identity. Either it changes the shared encoder, or it belongs to a task.
    """

    shared: ClassVar[bool]
    """Whether it changes the encoder of all tasks."""

    kind: str

    def attach(self, layers: Sequence[nn.Module], generator: torch.Generator) -> None:
        """Puts the shared part into the layers of an encoder; for an adapter that has none, does nothing.

        Args:
            layers: from bottom to top.
            generator: for the first weights.
        """

    def build(self, config: EncoderConfig, generator: torch.Generator) -> TaskAdapter | None:
        """The part of one task; None: it has none.

        Args:
            config: the encoder's sizes.
            generator: for the first weights.
        """
        return None
