"""Word, position and segment vectors, summed, normalised, dropped out."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minbert.encoder.config import BertConfig
from minbert.encoder.drawing import Table
from minbert.encoder.dropout import Noise, drop_rows
from minbert.shapes import Hidden
from minbert.text.packed import Packed


class Embeddings(nn.Module):
    """`dropout(LayerNorm(word[id] + position[place] + segment[text]))` for each token of a pack.

    On a processor the gradient of the word table is sparse: it holds the rows of the words that occurred. A dense one
    would be filled with 30,000 rows of zeros for each batch.

    Source: Devlin et al. 2018, section 3, figure 2.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.word = Table(config.vocab_size, config.hidden_size)
        self.position = Table(config.max_position_embeddings, config.hidden_size)
        self.segment = Table(config.type_vocab_size, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.share = config.hidden_dropout_prob

    def tables(self) -> list[Tensor]:
        """Of words, positions and segments; then weights and bias of the norm."""
        return [self.word.weight, self.position.weight, self.segment.weight, self.norm.weight, self.norm.bias]

    def forward(self, packed: Packed, precision: torch.dtype | None = None, noise: Noise | None = None) -> Hidden:
        """The vectors of the T tokens, in the given type; None: that of the weights. No noise: no dropout."""
        word = F.embedding(packed.ids, self.word.weight, sparse=packed.ids.device.type == "cpu")
        place = F.embedding(packed.positions, self.position.weight)
        total = word + place + F.embedding(packed.segments, self.segment.weight)
        return drop_rows(self.norm(total).to(precision), self.share, noise)
