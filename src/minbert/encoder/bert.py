"""BERT, from bricks.

Source: Devlin et al. 2018, "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding".
"""

import torch
from torch import nn

from minbert.encoder.config import BertConfig
from minbert.encoder.embeddings import Embeddings
from minbert.encoder.encoder import Encoder
from minbert.encoder.layout import Layout, layout_of
from minbert.encoder.weights import NAMES
from minbert.text.packed import Packed


class Bert(Encoder):
    """Embeddings, a stack of layers, and the pooler (used only where it is asked for).

    Args:
        config: the sizes.
    """

    names = NAMES
    splits = True

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config, Embeddings(config))

    def layout(self, packed: Packed) -> Layout:
        """The length groups of the pack."""
        return layout_of(packed.lengths, packed.parts, packed.ids.device)


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
