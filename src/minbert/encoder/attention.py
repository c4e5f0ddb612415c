"""Attention over a pack: each sequence attends to itself only.

The law (tests/laws/test_attention.py): for each sequence of the pack, with its own q, k, v,
`softmax(q @ k.T / sqrt(width of a head)) @ v`. Here it is computed on length groups (layout.py), with plain batched
products: at the lengths of sentences they are two to five times as fast as torch's fused attention on a processor,
which leaves its fast path altogether when attention weights are dropped out.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from minbert.encoder.config import EncoderConfig
from minbert.encoder.dropout import Noise
from minbert.encoder.hardware import OWN_WAYS
from minbert.encoder.layout import Group, Layout
from minbert.encoder.linear import Linear
from minbert.encoder.softmax import softmax, softmax_back
from minbert.shapes import Hidden, Vectors

LONG = 128
"""Beyond this length torch's fused attention is faster in float32, where nothing need be kept for a way back."""

FEW = 64
"""Up to so many tokens in all, fewer calls count for more than faster ones: fused attention is one."""

Projected = Float[Tensor, "tokens 3 heads head_width"]
"""Queries, keys and values of every token."""

Mixed = Float[Tensor, "rows heads head_width"]


class _Attend(torch.autograd.Function):
    """All groups of a pack; keeps queries, keys and values by head, the weights and their mask."""

    @staticmethod
    def forward(
        ctx: Any,
        qkv: Projected,
        layout: Layout,
        masks: Sequence[Tensor | None],
        factor: float,
        firsts: bool,
        *relative: Tensor,
    ) -> Mixed:
        ctx.layout, ctx.scale, ctx.factor, ctx.firsts = layout, qkv.shape[-1] ** -0.5, factor, firsts
        ctx.rows = len(qkv)
        out = _rows(qkv, qkv.shape[2:], layout, firsts)
        saved: list[Tensor | None] = []
        for number, (group, mask) in enumerate(zip(layout.groups, masks, strict=True)):
            parts = _by_head(qkv, group)
            q, k, v = parts[0, :, :1] if firsts else parts[0], parts[1], parts[2]
            weights = _weights(q, k, group, ctx.scale, relative[number] if relative else None)
            mixed = torch.bmm(weights, v) if mask is None else torch.bmm(weights * mask, v).mul_(factor)
            _to_rows(mixed[None], out[:, None], group, firsts)
            saved += [parts, weights, mask]
        ctx.save_for_backward(*saved)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Mixed) -> tuple[Tensor | None, ...]:
        to_qkv = _rows(grad, (3, *grad.shape[1:]), ctx.layout, rows=ctx.rows)
        saved = iter(ctx.saved_tensors)
        to_relative: list[Tensor | None] = [None] * len(ctx.layout.relative)
        for number, group in enumerate(ctx.layout.groups):
            parts, weights, mask = (next(saved) for _ in range(3))
            q, k, v = parts[0, :, :1] if ctx.firsts else parts[0], parts[1], parts[2]
            back = _by_head(grad[:, None], group, ctx.firsts, padding=0.0)[0]
            if mask is None:
                used, to_weights = weights, torch.bmm(back, v.mT)
            else:
                back *= ctx.factor
                used, to_weights = weights * mask, torch.bmm(back, v.mT).mul_(mask)
            to_scores = softmax_back(to_weights, weights)
            if any(ctx.needs_input_grad[5:]):
                to_relative[number] = _to_relative(to_scores, group)
            to_scores.mul_(ctx.scale)
            to_parts = torch.zeros_like(parts) if ctx.firsts else torch.empty_like(parts)
            torch.bmm(to_scores, k, out=to_parts[0, :, :1] if ctx.firsts else to_parts[0])
            torch.bmm(to_scores.mT, q, out=to_parts[1])
            torch.bmm(used.mT, back, out=to_parts[2])
            _to_rows(to_parts, to_qkv, group)
        return to_qkv, None, None, None, None, *to_relative


def _to_relative(to_scores: Tensor, group: Group) -> Tensor:
    """The gradient of a group's scores as that of what was added for the distances, (heads, length, length)."""
    exact = torch.promote_types(to_scores.dtype, torch.float32)
    total = to_scores.unflatten(0, (group.count, -1)).sum(0, dtype=exact)
    # Where only the first tokens ask, the other rows were not used.
    return F.pad(total, (0, 0, 0, group.length - total.shape[1]))


def _rows(like: Tensor, shape: Sequence[int], layout: Layout, firsts: bool = False, rows: int | None = None) -> Tensor:
    """Room for a row per token, with zeros in the rows of padding behind them; or for a row per sequence."""
    if firsts:
        return like.new_empty(sum(layout.sequences), *shape)
    made = like.new_empty(rows or len(like), *shape)
    if len(made) > sum(layout.tokens):
        made[sum(layout.tokens) :] = 0
    return made


def _weights(q: Tensor, k: Tensor, group: Group, scale: float, relative: Tensor | None = None) -> Tensor:
    """The softmax of the scores, (sequences * heads, queries, length)."""
    scores = torch.baddbmm(q.new_empty(()), q, k.mT, beta=0, alpha=scale)
    if relative is not None:
        scores.unflatten(0, (group.count, -1)).add_(relative[:, : scores.shape[1]].to(scores.dtype))
    if group.bias is not None:
        scores.unflatten(0, (group.count, -1)).add_(group.bias[:, :, : scores.shape[1]].to(scores.dtype))
    return softmax(scores)


def _in_places(x: Tensor, group: Group, firsts: bool = False, padding: float | None = None) -> Tensor:
    """A group's rows, (rows, parts, heads, width), as (parts, sequences, heads, places, width).

    Args:
        x: a row per token of the pack.
        group: which.
        firsts: `x` has a row per sequence instead.
        padding: what stands in padded places; None: a copy of another token of the sequence.
    """
    mine = x[group.sequences if firsts else group.tokens]
    if group.spread is not None and group.back is not None and not firsts:
        if padding is None:
            mine = mine.index_select(0, group.spread)
        else:
            mine = mine.new_full((len(group.spread), *x.shape[1:]), padding).index_copy_(0, group.back, mine)
    by_part: Tensor = mine.unflatten(0, (group.count, -1)).permute(2, 0, 3, 1, 4)
    return by_part


def _by_head(x: Tensor, group: Group, firsts: bool = False, padding: float | None = None) -> Tensor:
    """The same as (parts, sequences * heads, places, width), laid out in this order."""
    return _in_places(x, group, firsts, padding).flatten(1, 2).contiguous()


def _to_rows(by_head: Tensor, x: Tensor, group: Group, firsts: bool = False) -> None:
    """The way back: writes (parts, sequences * heads, places, width) into a group's rows of `x`."""
    rows = by_head.unflatten(1, (group.count, -1)).permute(1, 3, 0, 2, 4)
    if group.back is None or firsts:
        x[group.sequences if firsts else group.tokens].view(rows.shape).copy_(rows)
    else:
        torch.index_select(rows.flatten(0, 1), 0, group.back, out=x[group.tokens])


@torch.no_grad()
def _attend_fused(qkv: Projected, layout: Layout, firsts: bool) -> Mixed:
    """The same by torch's fused attention."""
    out = _rows(qkv, qkv.shape[2:], layout, firsts)
    for group in layout.groups:
        q, k, v = _in_places(qkv, group)
        if firsts:
            q = q[:, :, :1]
        bias = None if group.bias is None else group.bias[:, :, : q.shape[2]]
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        _to_rows(mixed.flatten(0, 1)[None], out[:, None], group, firsts)
    return out


def _attend_plainly(
    qkv: Projected, layout: Layout, masks: Sequence[Tensor | None], factor: float, firsts: bool
) -> Mixed:
    """The same by operations that every device has, with the way back that torch makes."""
    found = []
    for number, (group, mask) in enumerate(zip(layout.groups, masks, strict=True)):
        q, k, v = _by_head(qkv, group)
        scores = (q[:, :1] if firsts else q) @ k.mT * qkv.shape[-1] ** -0.5
        scores = scores.float().unflatten(0, (group.count, -1))
        if layout.relative:
            scores = scores + layout.relative[number][:, : scores.shape[2]]
        if group.bias is not None:
            scores = scores + group.bias[:, :, : scores.shape[2]]
        weights = torch.softmax(scores, -1).flatten(0, 1).to(qkv.dtype)
        mixed = (weights if mask is None else weights * mask * factor) @ v
        rows = mixed.unflatten(0, (group.count, -1)).transpose(1, 2).flatten(0, 1)
        found.append(rows if firsts or group.back is None else rows.index_select(0, group.back))
    padding = 0 if firsts else len(qkv) - sum(layout.tokens)
    return torch.cat([*found, qkv.new_zeros(padding, *qkv.shape[2:])])


def attend(
    qkv: Projected, layout: Layout, dropout: float = 0.0, firsts: bool = False, noise: Noise | None = None
) -> Mixed:
    """Scaled dot-product attention of every sequence of a pack with itself.

    Args:
        qkv: queries, keys and values, (tokens, 3, heads, width of a head); rows behind the last token are padding.
        layout: of the same pack.
        dropout: share of attention weights dropped, 0 to 1; 0 when not training.
        firsts: only each sequence's first token asks.
        noise: for the dropout; None: from torch's default generator.

    Returns:
        (tokens, heads, width of a head), or (sequences, heads, width).

    Source: Vaswani et al. 2017, equation 1.
    """
    if not (torch.is_grad_enabled() or dropout or layout.relative):
        longest = max(group.length for group in layout.groups)
        if len(qkv) <= FEW or (qkv.dtype == torch.float32 and longest > LONG):
            return _attend_fused(qkv, layout, firsts)
    masks: Sequence[Tensor | None] = [None] * len(layout.groups)
    factor = 1.0
    if dropout:
        noise = noise or Noise(layout, None, qkv.device)
        masks, factor = noise.of_weights(qkv, dropout, qkv.shape[2], firsts)
    if qkv.device.type not in OWN_WAYS:
        return _attend_plainly(qkv, layout, masks, factor, firsts)
    return _Attend.apply(qkv, layout, masks, factor, firsts, *layout.relative)  # type: ignore[no-any-return, no-untyped-call]


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
        qkv = self.projection(hidden).unflatten(-1, (3, self.heads, -1))
        mixed = attend(qkv, layout, self.share if self.training else 0.0, firsts, noise)
        return self.output(mixed.flatten(1))  # type: ignore[no-any-return]
