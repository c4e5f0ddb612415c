"""BERT, from bricks.

Source: Devlin et al. 2018, "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding".
"""

from collections.abc import Sequence
from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch import nn

from minbert.encoder.config import BertConfig
from minbert.encoder.dropout import Noise
from minbert.encoder.embeddings import Embeddings
from minbert.encoder.encoder import Encoder
from minbert.encoder.layer import Layer
from minbert.encoder.layout import layout_of
from minbert.encoder.linear import plain_products
from minbert.shapes import Hidden, Vectors
from minbert.text.packed import Packed

ROUNDING = ((64, 1), (256, 8), (1024, 16), (float("inf"), 32))
"""Under so many tokens, their number is rounded up to a multiple of this."""


class Pooler(nn.Module):
    """`tanh(W x + b)` over the first token's vector."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)

    def forward(self, first: Vectors) -> Vectors:
        """The pooled vectors."""
        return torch.tanh(self.dense(first))


def rounded(tokens: int) -> int:
    """How many rows the layers compute for so many tokens.

    For each number of rows that it meets, the matrix library keeps a plan of its own, and the memory of the step before
    does not fit the next: with a few numbers only, a run holds a third of the memory.
    """
    step = next(step for bound, step in ROUNDING if tokens < bound)
    return -(-tokens // step) * step


class Bert(Encoder):
    """Embeddings, a stack of layers, and the pooler (used only where it is asked for).

    Args:
        config: the sizes.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.config = config
        self.embeddings = Embeddings(config)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))
        self.pooler = Pooler(config.hidden_size)

    def forward(
        self,
        packed: Packed,
        precision: torch.dtype | None = None,
        firsts: bool = False,
        seeds: Sequence[int] | None = None,
    ) -> Hidden | Vectors:
        """The last layer's vector of every token of the pack.

        Args:
            packed: the tokens.
            precision: in which the layers compute; weights, norms and sums stay float32. None: in the weights' own, by
                the products that lose least (of two ways in float32, the faster loses a third more).
            firsts: only the vector of each sequence's first token, (sequences, width): the last layer skips the rest.
            seeds: for dropout in training, one per part of the pack; None: from torch's default generator.
        """
        with nullcontext() if precision else plain_products():
            device = packed.ids.device
            layout = layout_of(packed.lengths, packed.parts, device)
            noise = Noise(layout, seeds, device) if self.training else None
            hidden = self.embeddings(packed, precision, noise)
            tokens = len(hidden)
            if rounded(tokens) > tokens:
                hidden = F.pad(hidden, (0, 0, 0, rounded(tokens) - tokens))
            *below, last = self.layers
            for layer in below:
                hidden = layer(hidden, layout, None, noise)
            top: Hidden | Vectors = last(hidden, layout, packed.offsets[:-1] if firsts else None, noise)
            return top if firsts else top[:tokens]

    def blocks(self) -> list[nn.Module]:
        """The parts from bottom to top: the embeddings, then one per layer."""
        return [self.embeddings, *self.layers]


def fresh(module: nn.Module, std: float, generator: torch.Generator) -> None:
    """Fresh weights as BERT starts: normal with the given standard deviation, biases 0, norms the identity."""
    for part in module.modules():
        if isinstance(part, nn.Linear | nn.Embedding):
            part.weight.data.normal_(0.0, std, generator=generator)
        if isinstance(part, nn.Linear) and part.bias is not None:
            part.bias.data.zero_()
        if isinstance(part, nn.LayerNorm):
            part.weight.data.fill_(1.0)
            part.bias.data.zero_()
