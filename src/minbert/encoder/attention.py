"""Attention over a pack: each sequence attends to itself only.

The law (tests/laws/test_attention.py): for each sequence of the pack, with its own q, k, v,
`softmax(q @ k.T / sqrt(width of a head)) @ v`. Here it is computed on length groups (layout.py), while training with
short sequences sharing rows (stacks.py), with plain batched products: at the lengths of sentences they are two to five
times as fast as torch's fused attention on a processor, which leaves its fast path altogether when attention weights
are dropped out.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from minbert.encoder.config import EncoderConfig
from minbert.encoder.dropout import Noise, keep
from minbert.encoder.firsts import attend_firsts
from minbert.encoder.hardware import OWN_WAYS, has_tiles
from minbert.encoder.layout import Group, Layout
from minbert.encoder.linear import Linear
from minbert.encoder.places import by_head, places_of, to_rows
from minbert.encoder.softmax import softmax, softmax_back
from minbert.encoder.split import current
from minbert.encoder.stacks import stacks_of
from minbert.encoder.varlen import attend_at_once, goes_at_once
from minbert.shapes import Hidden, Vectors

LONG = 128
"""Beyond this length torch's fused attention is faster in float32, where nothing need be kept for a way back."""

TILED = 64
"""From this length on it is in bfloat16 too, on processors that multiply tiles (AMX)."""

FEW = 96
"""Up to so many tokens in all, fewer calls count for more than faster ones: fused attention is one."""

Projected = Float[Tensor, "tokens 3 heads head_width"]
"""Queries, keys and values of every token."""

Mixed = Float[Tensor, "tokens heads head_width"]


class _Attend(torch.autograd.Function):
    """All groups of a pack; keeps queries, keys and values by head, the weights, and those that were not dropped."""

    @staticmethod
    def forward(
        ctx: Any,
        qkv: Projected,
        layout: Layout,
        groups: Sequence[Group],
        noise: Noise | None,
        dropout: float,
        *relative: Tensor,
    ) -> Mixed:
        ctx.layout, ctx.groups, ctx.scale, ctx.dropping = layout, groups, qkv.shape[-1] ** -0.5, noise is not None
        ctx.factor = noise.factor(dropout) if noise else 1.0
        out, saved = _rows(qkv, qkv.shape[2:], layout), []
        for number, group in enumerate(groups):
            parts = by_head(qkv, group)
            q, k, v = parts
            weights = _weights(q, k, group, ctx.scale, relative[number] if relative else None)
            used = noise.drop(weights, group.part, dropout) if noise else weights
            to_rows(_scaled(used, v, ctx.factor), group, out[:, None])
            saved += [parts, weights, used]
        ctx.save_for_backward(*saved)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Mixed) -> tuple[Tensor | None, ...]:
        to_qkv = _rows(grad, (3, *grad.shape[1:]), ctx.layout)
        saved = iter(ctx.saved_tensors)
        to_relative: list[Tensor | None] = [None] * len(ctx.layout.relative)
        for number, group in enumerate(ctx.groups):
            parts, weights, used = (next(saved) for _ in range(3))
            q, k, v = parts
            back = by_head(grad[:, None], group, padding=0.0)[0]
            to_weights = _scaled(back, v.mT, ctx.factor)
            if ctx.dropping:
                # Zeros where a weight was dropped. (Where a weight is zero itself, so is what comes back from it.)
                keep(to_weights, used, out=to_weights)
            to_scores = softmax_back(to_weights, weights)
            if any(ctx.needs_input_grad[5:]):
                to_relative[number] = _to_relative(to_scores, group)
            to_parts = torch.empty_like(parts)
            _scaled(to_scores, k, ctx.scale, to_parts[0])
            _scaled(to_scores.mT, q, ctx.scale, to_parts[1])
            _scaled(used.mT, back, ctx.factor, to_parts[2])
            to_rows(to_parts, group, to_qkv)
        return to_qkv, None, None, None, None, *to_relative


def _to_relative(to_scores: Tensor, group: Group) -> Tensor:
    """The gradient of a group's scores as that of what was added for the distances, (heads, length, length)."""
    exact = torch.promote_types(to_scores.dtype, torch.float32)
    total: Tensor = to_scores.unflatten(0, (group.count, -1)).sum(0, dtype=exact)
    return total


def _rows(like: Tensor, shape: Sequence[int], layout: Layout) -> Tensor:
    """Room for a row per token, with zeros in the rows of padding behind them."""
    made = like.new_empty(len(like), *shape)
    if len(made) > sum(layout.tokens):
        made[sum(layout.tokens) :].zero_()
    return made


def _scaled(left: Tensor, right: Tensor, scale: float, out: Tensor | None = None) -> Tensor:
    """`scale * left @ right` of each pair of matrices, in one pass."""
    return torch.baddbmm(left.new_empty(()), left, right, beta=0, alpha=scale, out=out)


def _weights(q: Tensor, k: Tensor, group: Group, scale: float, relative: Tensor | None = None) -> Tensor:
    """The softmax of the scores, (sequences * heads, length, length)."""
    scores = _scaled(q, k.mT, scale)
    if relative is not None:
        scores.unflatten(0, (group.count, -1)).add_(relative.to(scores.dtype))
    if group.bias is not None:
        scores.unflatten(0, (group.count, -1)).add_(group.bias.to(scores.dtype))
    return softmax(scores)


def _goes_fused(qkv: Projected, length: int) -> bool:
    """Whether torch's fused attention is the faster one for a group, where nothing need be kept for a way back."""
    if len(qkv) <= FEW:
        return True
    if qkv.dtype == torch.bfloat16:
        return length >= TILED and qkv.device.type == "cpu" and has_tiles()
    return qkv.dtype == torch.float32 and length > LONG


def _fused(qkv: Projected, group: Group) -> Mixed:
    """The same for the rows of a group by torch's fused attention, which reads heads where they stand."""
    padded = qkv if group.spread is None else qkv.index_select(0, group.spread)
    q, k, v = padded.unflatten(0, (group.count, -1)).permute(2, 0, 3, 1, 4)
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=group.bias).transpose(1, 2).flatten(0, 1)
    return mixed if group.back is None else mixed.index_select(0, group.back)


def _attend_one_way(qkv: Projected, layout: Layout) -> Mixed:
    """The same without a way back: of each group whichever is faster."""
    out = _rows(qkv, qkv.shape[2:], layout)
    for group in layout.groups:
        if _goes_fused(qkv, group.length):
            out[group.tokens] = _fused(qkv[group.tokens], group)
        else:
            q, k, v = by_head(qkv, group)
            mixed = torch.bmm(_weights(q, k, group, qkv.shape[-1] ** -0.5), v)
            to_rows(mixed, group, out[:, None])
    return out


def _attend_plainly(
    qkv: Projected, layout: Layout, groups: Sequence[Group], noise: Noise | None, dropout: float
) -> Mixed:
    """The same by operations that every device has, with the way back that torch makes."""
    found = []
    for number, group in enumerate(groups):
        q, k, v = by_head(qkv, group)
        scores = q @ k.mT * qkv.shape[-1] ** -0.5
        scores = scores.float().unflatten(0, (group.count, -1))
        if layout.relative:
            scores = scores + layout.relative[number]
        if group.bias is not None:
            scores = scores + group.bias
        weights = torch.softmax(scores, -1).flatten(0, 1).to(qkv.dtype)
        if noise:
            weights = weights * noise.of_weights(weights, group.part, dropout) * noise.factor(dropout)
        mixed = weights @ v
        heads, width = qkv.shape[2:]
        back = places_of(group, 1, heads, qkv.device).back
        found.append(mixed.view(-1, width).index_select(0, back).view(-1, heads, width))
    padding = len(qkv) - sum(layout.tokens)
    return torch.cat([*found, qkv.new_zeros(padding, *qkv.shape[2:])])


def attend(qkv: Projected, layout: Layout, dropout: float = 0.0, noise: Noise | None = None) -> Mixed:
    """Scaled dot-product attention of every sequence of a pack with itself.

    Args:
        qkv: queries, keys and values, (tokens, 3, heads, width of a head); rows behind the last token are padding.
        layout: of the same pack.
        dropout: share of attention weights dropped, 0 to 1; 0 when not training.
        noise: for the dropout; None: from torch's default generator.

    Returns:
        (tokens, heads, width of a head).

    Source: Vaswani et al. 2017, equation 1.
    """
    if not dropout and goes_at_once(qkv, layout):
        return attend_at_once(qkv, layout)
    own_way = qkv.device.type in OWN_WAYS
    if own_way and not (torch.is_grad_enabled() or dropout or layout.relative):
        return _attend_one_way(qkv, layout)
    noise = (noise or Noise(layout, None, qkv.device)) if dropout else None
    # Scores by distance are made for the lengths of groups.
    groups = layout.groups if layout.relative or qkv.device.type != "cpu" else stacks_of(layout)
    if not own_way:
        return _attend_plainly(qkv, layout, groups, noise, dropout)
    return _Attend.apply(qkv, layout, groups, noise, dropout, *layout.relative)  # type: ignore[no-any-return, no-untyped-call]


class Attention(nn.Module):
    """Multi-head self-attention with its output projection.

    Queries, keys and values come from one product: `projection` holds the three matrices one below the other.

    Source: Devlin et al. 2018, section 3; Vaswani et al. 2017, section 3.2.2.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.heads = config.num_attention_heads
        self.share = config.attention_probs_dropout_prob
        self.projection = Linear(width, 3 * width)
        self.output = Linear(width, width)

    def forward(
        self, hidden: Hidden, layout: Layout, firsts: bool = False, noise: Noise | None = None
    ) -> Hidden | Vectors:
        """What each token, or each sequence's first token, gathers from its own sequence."""
        share = self.share if self.training else 0.0
        if firsts:
            weight, bias = self.projection.whole(), self.projection.bias
            mixed = attend_firsts(hidden, weight, bias, self.heads, layout, share, noise, current())
        else:
            mixed = attend(self.projection(hidden).unflatten(-1, (3, self.heads, -1)), layout, share, noise).flatten(1)
        return self.output(mixed)  # type: ignore[no-any-return]
