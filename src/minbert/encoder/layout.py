"""Length groups: how the sequences of a pack stand side by side for attention.

The pack is sorted by length. Sequences of near-equal length form a group, padded to the longest of it; so the padding
is small, and it exists only inside attention.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

SLACK = 8
GROWTH = 1.3
"""A group goes on while its longest sequence is at most GROWTH times, or SLACK tokens over, its shortest."""


@dataclass(frozen=True)
class Group:
    """`count` sequences side by side, `length` places each.

    Attributes:
        count: sequences.
        length: of the longest.
        sequences: which of the pack.
        tokens: which of the pack.
        spread: for each place the token, counted from the group's first, that stands there, (count * length,); a padded
            place repeats a token of its own sequence. None where no place is padding.
        back: for each token its place, or None.
        bias: 0 for places with a token and -inf for padded ones, (count, 1, 1, length), or None.
    """

    count: int
    length: int
    sequences: slice
    tokens: slice
    spread: Tensor | None
    back: Tensor | None
    bias: Tensor | None


Layout = tuple[Group, ...]
"""The groups of a pack: computed once a pack, used in every layer."""


def layout_of(lengths: Sequence[int], device: torch.device | str = "cpu") -> Layout:
    """Cuts sorted lengths into groups and works out the places.

    Args:
        lengths: the lengths of the sequences of a pack, shortest first, each 1 or more.
        device: where the pack lies.
    """
    groups = []
    first = token = 0
    while first < len(lengths):
        bound = max(lengths[first] * GROWTH, lengths[first] + SLACK)
        last = first
        while last < len(lengths) and lengths[last] <= bound:
            last += 1
        groups.append(_group(first, token, lengths[first:last], device))
        token += sum(lengths[first:last])
        first = last
    return tuple(groups)


def _group(first: int, token: int, lengths: Sequence[int], device: torch.device | str) -> Group:
    count, longest, total = len(lengths), lengths[-1], sum(lengths)
    sequences, tokens = slice(first, first + count), slice(token, token + total)
    if total == count * longest:
        return Group(count, longest, sequences, tokens, None, None, None)
    sizes = torch.tensor(lengths)
    steps = torch.arange(longest)
    real = steps < sizes[:, None]
    starts = torch.cumsum(sizes, 0) - sizes
    spread = (starts[:, None] + steps.minimum(sizes[:, None] - 1)).flatten()
    bias = torch.zeros(real.shape).masked_fill_(~real, -torch.inf)[:, None, None, :]
    places = (spread, real.flatten().nonzero()[:, 0], bias)
    return Group(count, longest, sequences, tokens, *(part.to(device) for part in places))
