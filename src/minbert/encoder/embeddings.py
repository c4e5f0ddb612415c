"""Word, position and segment vectors, summed, normalised, dropped out."""

from torch import nn

from minbert.encoder.config import BertConfig
from minbert.encoder.dropout import Dropout
from minbert.shapes import Hidden
from minbert.text.packed import Packed


class Embeddings(nn.Module):
    """`dropout(LayerNorm(word[id] + position[place] + segment[text]))` for each token of a pack.

    Source: Devlin et al. 2018, section 3, figure 2.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.word = nn.Embedding(config.vocab_size, config.hidden_size)
        self.position = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.segment = nn.Embedding(config.type_vocab_size, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = Dropout(config.hidden_dropout_prob)

    def forward(self, packed: Packed) -> Hidden:
        """The vectors of the T tokens."""
        total = self.word(packed.ids) + self.position(packed.positions) + self.segment(packed.segments)
        return self.dropout(self.norm(total))  # type: ignore[no-any-return]
