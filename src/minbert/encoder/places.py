"""Where the rows of a pack stand for attention: by head, each sequence in places of its own, and back again.

A pack has a row per token, with all its heads side by side; batched products want the places of one head of one
sequence together, padded to the length of its group. The way there is one copy, of pieces as wide as a head, in an
order worked out once a pack.
"""

import torch
from torch import Tensor

from minbert.encoder.layout import Group, Places


def places_of(group: Group, parts: int, heads: int, device: torch.device) -> Places:
    """The order for rows of so many parts and heads; worked out at the first call."""
    if (parts, heads) not in group.places:
        group.places[parts, heads] = _places(group, parts, heads, device)
    return group.places[parts, heads]


def _places(group: Group, parts: int, heads: int, device: torch.device) -> Places:
    count, length = group.count, group.length

    def steps(size: int, stride: int) -> Tensor:
        return torch.arange(0, size * stride, stride, dtype=torch.int32, device=device)

    # By sequence and place: where the first head of the first part stands, and whose token.
    place, token = (steps(count, heads * length)[:, None] + steps(length, 1)).view(-1), steps(count * length, 1)
    pieces = steps(parts, count * heads * length)[:, None] + steps(heads, length)
    padded = None
    if group.spread is not None and group.back is not None and group.padding is not None:
        padded = (place[group.padding][:, None, None] + pieces).view(-1).long()
        place, token = place[group.back], group.spread.to(torch.int32)
    part, head = steps(parts, heads).view(-1, 1, 1, 1), steps(heads, 1)[:, None]
    spread = token.view(count, 1, length) * (parts * heads) + part + head
    return Places(spread.view(-1), (place[:, None, None] + pieces).view(-1), padded)


def by_head(x: Tensor, group: Group, padding: float | None = None) -> Tensor:
    """A group's rows, (rows, parts, heads, width), as (parts, sequences * heads, places, width).

    Args:
        x: a row per token of the pack.
        group: which.
        padding: what stands in padded places; None: a copy of another token of the sequence.
    """
    parts, heads, width = x.shape[1:]
    places = places_of(group, parts, heads, x.device)
    pieces = x[group.tokens].reshape(-1, width).index_select(0, places.spread)
    if padding is not None and places.padded is not None:
        pieces.index_fill_(0, places.padded, padding)
    return pieces.view(parts, group.count * heads, group.length, width)


def to_rows(placed: Tensor, group: Group, x: Tensor) -> None:
    """The way back: writes (parts, sequences * heads, places, width) into a group's rows of `x`."""
    parts, heads, width = x.shape[1:]
    places = places_of(group, parts, heads, x.device)
    torch.index_select(placed.view(-1, width), 0, places.back, out=x[group.tokens].view(-1, width))
