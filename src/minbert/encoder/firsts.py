"""Attention where only each sequence's first token asks, without a key or a value.

```
q . (W_k h_j + b_k)       = (W_k^T q) . h_j + q . b_k       (the last term is the same for every j: softmax drops it)
sum_j a_j (W_v h_j + b_v) = W_v (sum_j a_j h_j) + b_v sum_j a_j
```

With one query a sequence, what stands on the right asks for a thirtieth of the work: the matrices meet a row for each
head of a sequence, not a row for each of its tokens.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from minbert.encoder.dropout import Noise
from minbert.encoder.hardware import OWN_WAYS
from minbert.encoder.layout import Group, Layout, chunks_of
from minbert.encoder.split import Split
from minbert.shapes import Hidden, Vectors

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


class _Projection(NamedTuple):
    """By which weights the first tokens of some sequences ask and gather, in the type of the tokens.

    Attributes:
        rows: which sequences.
        weights: of queries, keys and values, (3, heads, width of a head, width).
        biases: of the same, (3, heads, 1, width of a head).
    """

    rows: slice
    weights: Tensor
    biases: Tensor

    def ask(self, first: Vectors) -> Tensor:
        """What the first tokens, (sequences, width), look for in the others, (sequences, heads, width)."""
        to_query, to_key, _ = self.weights
        query = torch.bmm(first.expand(len(to_query), -1, -1), to_query.mT) + self.biases[0]
        return torch.bmm(query * to_query.shape[1] ** -0.5, to_key).transpose(0, 1)

    def mix(self, gathered: Tensor, sums: Tensor | None) -> Tensor:
        """The values of what they gathered, (sequences, heads, width), to (sequences, heads * width of a head).

        Args:
            gathered: the tokens, weighted.
            sums: of the weights, (sequences, heads, 1); None: each is 1.
        """
        bias = self.biases[2] if sums is None else self.biases[2] * sums.transpose(0, 1)
        mixed = torch.bmm(gathered.transpose(0, 1), self.weights[2].mT) + bias
        return mixed.transpose(0, 1).flatten(1)


def _projections(weight: Tensor, bias: Tensor, heads: int, like: Tensor, split: Split | None) -> list[_Projection]:
    """One for all sequences; or one for each task, the same numbers with a gradient of its own."""
    owned = [(slice(None), weight, bias)]
    if split:
        alias, sequences = split.by_task.alias, sum(split.layout.sequences)
        owned = [(rows, alias(task, weight), alias(task, bias)) for task, rows in split.rows(sequences)]
    return [
        _Projection(rows, w.to(like.dtype).view(3, heads, -1, like.shape[1]), b.to(like.dtype).view(3, heads, 1, -1))
        for rows, w, b in owned
    ]


def attend_firsts(
    hidden: Hidden,
    weight: Tensor,
    bias: Tensor,
    heads: int,
    layout: Layout,
    dropout: float = 0.0,
    noise: Noise | None = None,
    split: Split | None = None,
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
        split: whose the parts are, where the gradients of weight and bias are kept apart by task; None: they are not.

    Returns:
        (sequences, inner).
    """
    own_way = hidden.device.type in OWN_WAYS
    # Scores by distance are made for the lengths of groups.
    few = hidden.device.type == "cpu" and torch.is_grad_enabled() and not layout.relative
    groups = chunks_of(layout, hidden.device) if few else layout.groups
    spread, back, firsts = _places(groups, hidden.device)
    placed = _Spread.apply(hidden, spread, back) if own_way else hidden.index_select(0, spread)  # type: ignore[no-untyped-call]
    projections, first = _projections(weight, bias, heads, hidden, split), placed.index_select(0, firsts)
    asked = _joined([projection.ask(first[projection.rows]) for projection in projections])
    sizes = [group.count * group.length for group in groups]
    noise = (noise or Noise(layout, None, hidden.device)) if dropout else None
    parts, sums = [], []
    for number, (group, mine) in enumerate(zip(groups, placed.split(sizes), strict=True)):
        states = mine.unflatten(0, (group.count, -1))
        relative = layout.relative[number] if layout.relative else None
        weights = _weights(asked[group.sequences], states, group, relative)
        if noise:
            weights = weights * noise.of_weights(weights, group.part, dropout) * noise.factor(dropout)
            sums.append(weights.sum(-1, keepdim=True))
        parts.append(torch.bmm(weights, states))
    # Without dropout the weights' sum is 1.
    gathered, sum_of = _joined(parts), _joined(sums) if sums else None
    return _joined([one.mix(gathered[one.rows], None if sum_of is None else sum_of[one.rows]) for one in projections])


def _joined(parts: Sequence[Tensor]) -> Tensor:
    """One behind the other."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


def _weights(asked: Tensor, states: Tensor, group: Group, relative: Tensor | None) -> Tensor:
    """The softmax of a group's scores, (sequences, heads, length)."""
    # The other way about, what comes back for the states would come transposed, and be slow to add to the rest.
    scores = torch.bmm(states, asked.mT).mT.to(torch.promote_types(states.dtype, torch.float32))
    if relative is not None:
        scores = scores + relative[:, 0]
    if group.bias is not None:
        scores = scores + group.bias[:, 0, :1]
    return torch.softmax(scores, -1).to(states.dtype)
