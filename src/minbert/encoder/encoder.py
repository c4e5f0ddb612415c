"""What the rest of minbert needs of an encoder."""

from abc import ABC, abstractmethod

import torch
from torch import nn

from minbert.encoder.config import BertConfig
from minbert.encoder.pooling import Pooling, pool
from minbert.shapes import Hidden, Vectors
from minbert.text.packed import Packed


class Encoder(nn.Module, ABC):
    """Packed tokens to hidden vectors, and hidden vectors to one vector per sequence."""

    config: BertConfig
    pooler: nn.Module
    precision: torch.dtype = torch.float32
    """In which `vectors` computes; weights, norms and sums stay float32."""

    @property
    def width(self) -> int:
        """The width of a vector."""
        return self.config.hidden_size

    @abstractmethod
    def forward(self, packed: Packed, precision: torch.dtype | None = None, firsts: bool = False) -> Hidden | Vectors:
        """The last layer's vector of every token of the pack, or of each sequence's first token only."""

    @abstractmethod
    def blocks(self) -> list[nn.Module]:
        """The parts from bottom to top: the embeddings, then one per layer."""

    def vectors(self, packed: Packed, how: Pooling) -> Vectors:
        """One vector per sequence, in the order in which the sequences were given."""
        firsts = how != "mean"
        return pool(self(packed, self.precision, firsts), packed, how, self.pooler)
