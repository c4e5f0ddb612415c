"""Attention over a pack: each sequence attends to itself only.

The law (tests/laws/test_attention.py): for each sequence of the pack, with its own q, k, v,
`softmax(q @ k.T / sqrt(width of a head)) @ v`. Here it is computed on *length groups*: sequences of near-equal length
stand side by side, padded to the longest of the group, and go through torch's fused attention together. The pack is
sorted by length, so the padding is small, and it exists only inside this file.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from minbert.encoder.config import BertConfig
from minbert.shapes import Hidden

SLACK = 4
GROWTH = 1.25
"""A group goes on while its longest sequence is at most GROWTH times, or SLACK tokens over, its shortest."""


@dataclass(frozen=True)
class Group:
    """`count` sequences side by side, `length` places each, from place `start` of the spread-out tokens."""

    start: int
    count: int
    length: int
    mask: Tensor | None


@dataclass(frozen=True)
class Layout:
    """How the tokens of a pack are spread out for attention: computed once a pack, used in every layer.

    Attributes:
        groups: the length groups.
        spread: for each place the token that stands there, (places,); a padded place repeats a token of its sequence.
        back: for each token its place, (tokens,).
        padded: whether any place is padding; if not, spreading is the identity and is skipped.
    """

    groups: tuple[Group, ...]
    spread: Tensor
    back: Tensor
    padded: bool


def layout_of(lengths: Sequence[int], device: torch.device | str = "cpu") -> Layout:
    """Cuts sorted lengths into groups and works out the places.

    Args:
        lengths: the lengths of the sequences of a pack, shortest first, each 1 or more.
        device: where the pack lies.
    """
    groups: list[Group] = []
    spread: list[Tensor] = []
    back: list[Tensor] = []
    first = token = place = 0
    while first < len(lengths):
        bound = max(lengths[first] * GROWTH, lengths[first] + SLACK)
        last = first
        while last < len(lengths) and lengths[last] <= bound:
            last += 1
        sizes = torch.tensor(lengths[first:last])
        longest = int(sizes[-1])
        steps = torch.arange(longest)
        real = steps < sizes[:, None]
        starts = token + torch.cumsum(sizes, 0) - sizes
        spread.append((starts[:, None] + steps.minimum(sizes[:, None] - 1)).flatten())
        back.append(place + real.flatten().nonzero()[:, 0])
        mask = None if bool(real.all()) else real[:, None, None, :].to(device)
        groups.append(Group(place, last - first, longest, mask))
        token += int(sizes.sum())
        place += (last - first) * longest
        first = last
    return Layout(tuple(groups), torch.cat(spread).to(device), torch.cat(back).to(device), padded=place != token)


class _Spread(torch.autograd.Function):
    """Tokens to places. Padded places get a copy that nothing reads, so their gradient is dropped."""

    @staticmethod
    def forward(ctx: Any, tokens: Tensor, layout: Layout) -> Tensor:
        ctx.layout = layout
        return tokens.index_select(0, layout.spread)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        # A gather instead of autograd's scatter-add: each token has exactly one place of its own.
        return grad.index_select(0, ctx.layout.back), None


class _Collect(torch.autograd.Function):
    """Places back to tokens."""

    @staticmethod
    def forward(ctx: Any, places: Tensor, layout: Layout) -> Tensor:
        ctx.layout = layout
        return places.index_select(0, layout.back)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        places = grad.new_zeros(len(ctx.layout.spread), *grad.shape[1:])
        return places.index_copy(0, ctx.layout.back, grad), None


Heads = Float[Tensor, "tokens heads head_width"]


def attend(query: Heads, key: Heads, value: Heads, layout: Layout, dropout: float = 0.0) -> Heads:
    """Scaled dot-product attention of every sequence of a pack with itself.

    Args:
        query: (tokens, heads, width of a head), as are key and value.
        key: what is compared with the query.
        value: what is averaged.
        layout: of the same pack.
        dropout: share of attention weights dropped, 0 to 1; 0 when not training.

    Source: Vaswani et al. 2017, equation 1.
    """
    if layout.padded:
        query, key, value = (_Spread.apply(x, layout) for x in (query, key, value))  # type: ignore[no-untyped-call]
    outputs = []
    for group in layout.groups:
        stop = group.start + group.count * group.length
        q, k, v = (
            x[group.start : stop].unflatten(0, (group.count, group.length)).transpose(1, 2) for x in (query, key, value)
        )
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=group.mask, dropout_p=dropout)
        outputs.append(out.transpose(1, 2).flatten(0, 1))
    places = torch.cat(outputs)
    return _Collect.apply(places, layout) if layout.padded else places  # type: ignore[no-untyped-call]


class Attention(nn.Module):
    """Multi-head self-attention with its output projection.

    Source: Devlin et al. 2018, section 3; Vaswani et al. 2017, section 3.2.2.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.heads = config.num_attention_heads
        self.share = config.attention_probs_dropout_prob
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)

    def forward(self, hidden: Hidden, layout: Layout) -> Hidden:
        """What each token gathers from its own sequence."""
        q, k, v = (part(hidden).unflatten(-1, (self.heads, -1)) for part in (self.query, self.key, self.value))
        mixed = attend(q, k, v, layout, self.share if self.training else 0.0)
        return self.output(mixed.flatten(1))  # type: ignore[no-any-return]
