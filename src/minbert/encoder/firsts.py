"""Attention where only each sequence's first token asks, without a key or a value.

```
q . (W_k h_j + b_k)       = (W_k^T q) . h_j + q . b_k       (the last term is the same for every j: softmax drops it)
sum_j a_j (W_v h_j + b_v) = W_v (sum_j a_j h_j) + b_v sum_j a_j
```

With one query a sequence, what stands on the right asks for a thirtieth of the work: the matrices meet a row for each
head of a sequence, not a row for each of its tokens.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from minbert.encoder.dropout import Noise
from minbert.encoder.hardware import OWN_WAYS
from minbert.encoder.layout import Group, Layout
from minbert.shapes import Hidden

Gathered = Float[Tensor, "sequences inner"]
"""What each sequence's first token gathers, of all heads, one behind the other."""


class _Spread(torch.autograd.Function):
    """The rows that stand in all groups' places; the way back reads the places where a token of its own stands."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, spread: Tensor, back: Tensor) -> Tensor:
        ctx.save_for_backward(back)
        ctx.rows = len(hidden)
        return hidden.index_select(0, spread)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, None, None]:
        (back,) = ctx.saved_tensors
        return F.pad(grad.index_select(0, back), (0, 0, 0, ctx.rows - len(back))), None, None


def _places(groups: tuple[Group, ...], device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """For each place of all groups the token that stands there; for each token its place; the first token's places."""
    spread, back, firsts, begin = [], [], [], 0
    for group in groups:
        places = torch.arange(group.count * group.length, device=device)
        spread.append((places if group.spread is None else group.spread) + group.tokens.start)
        back.append((places if group.back is None else group.back) + begin)
        firsts.append(places[:: group.length] + begin)
        begin += len(places)
    return torch.cat(spread), torch.cat(back), torch.cat(firsts)


def attend_firsts(
    hidden: Hidden,
    weight: Tensor,
    bias: Tensor,
    heads: int,
    layout: Layout,
    dropout: float = 0.0,
    noise: Noise | None = None,
) -> Gathered:
    """What each sequence's first token gathers from its sequence: as `attend` would, of what a projection would make.

    Args:
        hidden: the tokens of a pack, (tokens, width); rows behind the last token are padding.
        weight: of the projection to queries, keys and values, one below the other, (3 * inner, width).
        bias: of the same.
        heads: among which `inner` is shared.
        layout: of the same pack.
        dropout: share of attention weights dropped, 0 to 1; 0 when not training.
        noise: for the dropout; None: from torch's default generator.

    Returns:
        (sequences, inner).
    """
    own_way = hidden.device.type in OWN_WAYS
    spread, back, firsts = _places(layout.groups, hidden.device)
    placed = _Spread.apply(hidden, spread, back) if own_way else hidden.index_select(0, spread)  # type: ignore[no-untyped-call]
    to_query, to_key, to_value = weight.to(hidden.dtype).view(3, heads, -1, hidden.shape[1])
    of_query, _, of_value = bias.to(hidden.dtype).view(3, heads, 1, -1)
    first = placed.index_select(0, firsts).expand(heads, -1, -1)
    query = (torch.bmm(first, to_query.mT) + of_query) * to_query.shape[1] ** -0.5
    asked = torch.bmm(query, to_key).transpose(0, 1)
    sizes = [group.count * group.length for group in layout.groups]
    noise = (noise or Noise(layout, None, hidden.device)) if dropout else None
    gathered, sums = [], []
    for number, (group, mine) in enumerate(zip(layout.groups, placed.split(sizes), strict=True)):
        states = mine.unflatten(0, (group.count, -1))
        weights = _weights(asked[group.sequences], states, layout, number)
        if noise:
            weights = weights * noise.of_weights(weights, group.part, dropout) * noise.factor(dropout)
            sums.append(weights.sum(-1, keepdim=True))
        gathered.append(torch.bmm(weights, states))
    mixed = torch.bmm(torch.cat(gathered).transpose(0, 1), to_value.mT)
    # Without dropout the weights' sum is 1.
    mixed = mixed + (of_value * torch.cat(sums).transpose(0, 1) if dropout else of_value)
    result: Tensor = mixed.transpose(0, 1).flatten(1)
    return result


def _weights(asked: Tensor, states: Tensor, layout: Layout, number: int) -> Tensor:
    """The softmax of a group's scores, (sequences, heads, length)."""
    group = layout.groups[number]
    scores = torch.bmm(asked, states.mT).to(torch.promote_types(states.dtype, torch.float32))
    if layout.relative:
        scores = scores + layout.relative[number][:, 0]
    if group.bias is not None:
        scores = scores + group.bias[:, 0, :1]
    return torch.softmax(scores, -1).to(states.dtype)
