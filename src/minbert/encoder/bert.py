"""BERT, from bricks.

Source: Devlin et al. 2018, "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding".
"""

from collections.abc import Sequence
from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch import nn

from minbert.encoder.adapters import Beside, TaskAdapter
from minbert.encoder.config import BertConfig
from minbert.encoder.dropout import Noise
from minbert.encoder.embeddings import Embeddings
from minbert.encoder.encoder import Encoder
from minbert.encoder.layer import Layer
from minbert.encoder.layout import layout_of, rounded
from minbert.encoder.linear import plain_products
from minbert.shapes import Hidden, Vectors
from minbert.text.packed import Packed


class Pooler(nn.Module):
    """`tanh(W x + b)` over the first token's vector."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)

    def forward(self, first: Vectors) -> Vectors:
        """The pooled vectors."""
        return torch.tanh(self.dense(first))


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
        adapters: Sequence[TaskAdapter | None] = (),
    ) -> Hidden | Vectors:
        """The last layer's vector of every token of the pack.

        Args:
            packed: the tokens.
            precision: in which the layers compute; weights, norms and sums stay float32. None: in the weights' own, by
                the products that lose least (of two ways in float32, the faster loses a third more).
            firsts: only the vector of each sequence's first token, (sequences, width): the last layer skips the rest.
            seeds: for dropout in training, one per part of the pack; None: from torch's default generator.
            adapters: of the tasks, one per part of the pack, None for a part without; empty: no part has one.
        """
        with nullcontext() if precision else plain_products():
            device = packed.ids.device
            layout = layout_of(packed.lengths, packed.parts, device)
            noise = Noise(layout, seeds, device) if self.training else None
            beside = Beside(adapters, layout)
            hidden = self.embeddings(packed, precision, noise)
            tokens = len(hidden)
            if rounded(tokens) > tokens:
                hidden = F.pad(hidden, (0, 0, 0, rounded(tokens) - tokens))
            *below, last = self.layers
            for number, layer in enumerate(below):
                hidden = layer(hidden, layout, None, noise, beside(number, hidden))
            chosen, added = packed.offsets[:-1] if firsts else None, beside(len(below), hidden, firsts)
            top: Hidden | Vectors = last(hidden, layout, chosen, noise, added)
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
