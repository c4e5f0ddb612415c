"""MPNet: BERT without segments, and with a bias on the scores for how far apart two tokens stand.

Source: Song et al. 2020, "MPNet: Masked and Permuted Pre-training for Language Understanding"; the bias: Raffel et al.
2020, section 2.1.
"""

import math
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minbert.encoder.config import MpnetConfig
from minbert.encoder.drawing import Table
from minbert.encoder.dropout import Noise, drop_rows
from minbert.encoder.encoder import Encoder
from minbert.encoder.layout import Layout, layout_of
from minbert.shapes import Hidden
from minbert.text.packed import Packed

NAMES = (
    ("embeddings.word.", "embeddings.word_embeddings."),
    ("embeddings.position.", "embeddings.position_embeddings."),
    ("embeddings.norm.", "embeddings.LayerNorm."),
    ("embeddings.relative.", "encoder.relative_attention_bias."),
    ("layers.{}.attention.query.", "encoder.layer.{}.attention.attn.q."),
    ("layers.{}.attention.key.", "encoder.layer.{}.attention.attn.k."),
    ("layers.{}.attention.value.", "encoder.layer.{}.attention.attn.v."),
    ("layers.{}.attention.output.", "encoder.layer.{}.attention.attn.o."),
    ("layers.{}.attention_norm.", "encoder.layer.{}.attention.LayerNorm."),
    ("layers.{}.up.", "encoder.layer.{}.intermediate.dense."),
    ("layers.{}.down.", "encoder.layer.{}.output.dense."),
    ("layers.{}.norm.", "encoder.layer.{}.output.LayerNorm."),
    ("pooler.dense.", "pooler.dense."),
)
"""Ours, theirs; `{}` is the number of the layer."""

FARTHEST = 128
"""From this distance on, all tokens of one side share a bucket."""


class MpnetEmbeddings(nn.Module):
    """`dropout(LayerNorm(word[id] + position[place + 2]))` for each token of a pack; and the table of biases.

    The table belongs here because all layers share it: what trains the upper layers only leaves it as it is. The
    gradient of the word table is sparse on a processor, as BERT's is.
    """

    def __init__(self, config: MpnetConfig) -> None:
        super().__init__()
        self.word = Table(config.vocab_size, config.hidden_size)
        self.position = Table(config.max_position_embeddings, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.relative = Table(config.relative_attention_num_buckets, config.num_attention_heads)
        self.first, self.share = config.first_position, config.hidden_dropout_prob

    def forward(self, packed: Packed, precision: torch.dtype | None = None, noise: Noise | None = None) -> Hidden:
        """The vectors of the T tokens, in the given type; None: that of the weights. No noise: no dropout."""
        word = F.embedding(packed.ids, self.word.weight, sparse=packed.ids.device.type == "cpu")
        return drop_rows(
            self.norm(word + self.position(packed.positions + self.first)).to(precision), self.share, noise
        )

    def biases(self, length: int) -> Tensor:
        """What is added to the scores of so many tokens, (heads, length, length), in the type of the table."""
        table = self.relative.weight
        return F.embedding(buckets(length, len(table), table.device), table).permute(2, 0, 1)


def buckets(length: int, count: int, device: torch.device | str = "cpu") -> Tensor:
    """The bucket of each query's distance to each key, (length, length).

    The upper half of the buckets are for keys that come after the query. Of each half, the first half are for one
    distance each, the others for distances that grow logarithmically up to 128.

    Args:
        length: tokens.
        count: of buckets.
        device: where they are wanted.

    Source: Raffel et al. 2020, section 2.1.
    """
    places = torch.arange(length)
    ahead = places - places[:, None]
    far, exact = ahead.abs(), count // 4
    # In the order in which transformers computes it: at a power of two another order may round to the next bucket.
    logs = torch.log(far.clamp(min=1).float() / exact) / math.log(FARTHEST / exact) * (count // 2 - exact)
    grown = exact + logs.long()
    found = torch.where(far < exact, far, grown.clamp(max=count // 2 - 1))
    return (found + (ahead > 0) * (count // 2)).to(device)


class Mpnet(Encoder):
    """Embeddings, a stack of BERT's layers with biased scores, and the pooler (used only where it is asked for).

    Args:
        config: the sizes.

    Deviates: positions are counted from each sequence's start; transformers does not count a `<pad>` that stands in a
    text.
    """

    names = NAMES
    embeddings: MpnetEmbeddings

    def __init__(self, config: MpnetConfig) -> None:
        super().__init__(config, MpnetEmbeddings(config))

    def layout(self, packed: Packed) -> Layout:
        """The length groups of the pack, with the biases of each: made once, used in every layer."""
        found = layout_of(packed.lengths, packed.parts, packed.ids.device)
        return replace(found, relative=tuple(self.embeddings.biases(group.length) for group in found.groups))
