"""From the tokens of a pack to one vector per sequence."""

from collections.abc import Callable
from typing import Literal

import torch

from minbert.shapes import Hidden, Vectors
from minbert.text.packed import Packed

Pooling = Literal["mean", "cls", "pooler"]
"""`mean` over all tokens, special ones included; `cls` the first token; `pooler` the first token through BERT's own
dense layer and tanh."""

AskedPooling = Literal["auto", "mean", "cls", "pooler"]
"""The same; `auto`: as the encoder's own folder says, `mean` where it says nothing."""


def for_embeddings(pooling: Pooling) -> Pooling:
    """How `embed` pools where heads that name no pooling pool so: alike, but that BERT's pooler is for heads only."""
    return "cls" if pooling == "cls" else "mean"


def mean(hidden: Hidden, packed: Packed) -> Vectors:
    """The mean of each sequence's tokens, special tokens included, in the order of the pack."""
    if len(packed) == 1:
        return hidden.mean(0, keepdim=True, dtype=torch.float32)
    sizes = packed.offsets.diff()
    places = torch.arange(len(sizes), device=sizes.device)
    owner = torch.repeat_interleave(places, sizes, output_size=len(hidden))
    total = torch.zeros(len(sizes), hidden.shape[1], dtype=torch.float32, device=hidden.device)
    return total.index_add(0, owner, hidden.float()) / sizes[:, None]


def pool(hidden: Hidden | Vectors, packed: Packed, how: Pooling, pooler: Callable[[Vectors], Vectors]) -> Vectors:
    """One vector per sequence, in the order in which the sequences were given to `pack`.

    Args:
        hidden: the encoder's last layer: every token for `mean`, else each sequence's first.
        packed: the pack it came from.
        how: which pooling.
        pooler: BERT's pooler, used by `"pooler"` only.
    """
    vectors = mean(hidden, packed) if how == "mean" else hidden.float()
    if how == "pooler":
        vectors = pooler(vectors)
    return vectors if len(packed) == 1 else vectors.index_select(0, packed.index)
