"""Length groups: how the sequences of a pack stand side by side for attention.

The pack is sorted by length. Sequences of near-equal length form a group, padded to the longest of it; so the padding
is small, and it exists only inside attention.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

WORTH = 24576
"""Work on padding, in scores of one head, up to which a group goes on: about what a further group's calls cost."""

MOVE = 32
"""The same for moving a token to its place and back: as much as so many scores."""

AREA = 65536
"""The most scores of one head in a group on a processor: those of all heads then fit its cache. A sequence with more
of them stands alone."""

ROUNDING = ((64, 1), (256, 8), (1024, 16), (2048, 32), (float("inf"), 64))
"""Under so many tokens, their number is rounded up to a multiple of this."""


def rounded(tokens: int) -> int:
    """How many rows the layers compute for so many tokens.

    For each number of rows that it meets, the matrix library keeps a plan of its own, and the memory of the step before
    does not fit the next: with a few numbers only, a run holds a third of the memory.
    """
    step = next(step for bound, step in ROUNDING if tokens < bound)
    return -(-tokens // step) * step


class Places(NamedTuple):
    """The order of a group's pieces.

    Attributes:
        spread: for each place, in the order (part, sequence, head, place in the sequence), the number of the piece that
            stands there; pieces are numbered in the order (token, part, head), which is how rows hold them. A padded
            place repeats a piece of its own sequence. Two sequences of 1 and 2 tokens, one part, two heads, padded to
            2: the first head's places are 0 0 and 2 4, the second's 1 1 and 3 5, so [0, 0, 1, 1, 2, 4, 3, 5].
        back: for each piece its place: [0, 2, 4, 6, 5, 7].
        padded: the places that are padding; None where none is.
    """

    spread: Tensor
    back: Tensor
    padded: Tensor | None


@dataclass(frozen=True)
class Group:
    """`count` rows of `length` places, a sequence in each; or, in a stack (stacks.py), several.

    Attributes:
        part: of the pack to which it belongs.
        count: rows; in a group that is no stack, sequences.
        length: of the longest sequence; of a stack, the width of its rows.
        sequences: which of the pack.
        tokens: which of the pack.
        spread: for each place the token, counted from the group's first, that stands there, (count * length,); a padded
            place repeats a token of its own sequence, or row. None where no place is padding and no row a stack.
        back: for each token its place, or None.
        padding: the places where no token stands, or None.
        bias: of each query for each place: 0 where a token of its sequence stands and -inf elsewhere, (count, 1,
            length, length), or None.
        places: for rows of so many parts and heads where each of them stands (places.py); filled as it is asked for.
    """

    part: int
    count: int
    length: int
    sequences: slice
    tokens: slice
    spread: Tensor | None
    back: Tensor | None
    padding: Tensor | None
    bias: Tensor | None
    places: dict[tuple[int, int], Places] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True)
class Layout:
    """How a pack stands: worked out once a pack, used in every layer.

    Attributes:
        groups: in the order of the pack; none of them reaches over the end of a part.
        tokens: of each part.
        sequences: of each part.
        lengths: of each sequence.
        relative: what is added to the scores of each group for how far query and key stand apart, (heads, length,
            length), with a way back to a table; empty: nothing.
        bounds: where each sequence begins, and where the last one ends, (sequences + 1,), 32 bit, on the device; None:
            not needed there.
        stacks: the groups with short sequences stacked (stacks.py); filled when it is asked for.
    """

    groups: tuple[Group, ...]
    tokens: tuple[int, ...]
    sequences: tuple[int, ...]
    lengths: Sequence[int]
    relative: tuple[Tensor, ...] = ()
    bounds: Tensor | None = None
    stacks: list[Group] = field(default_factory=list, repr=False, compare=False)


def layout_of(
    lengths: Sequence[int],
    parts: Sequence[int] | None = None,
    device: torch.device | str = "cpu",
    bounded: bool | None = None,
) -> Layout:
    """Cuts lengths into groups and works out the places.

    Args:
        lengths: the lengths of the sequences of a pack, in each part shortest first, each 1 or more.
        parts: sequences of each part; None: there is one.
        device: where the pack lies.
        bounded: with the bounds of the sequences; None: on CUDA.
    """
    parts = [len(lengths)] if parts is None else parts
    groups: list[Group] = []
    tokens: list[int] = []
    first, area = 0, AREA if torch.device(device).type == "cpu" else sys.maxsize
    for number, count in enumerate(parts):
        end, begun = first + count, sum(tokens)
        tokens.append(0)
        while first < end:
            last, work = first, 0
            while last < end:
                longest = lengths[last]
                work += _work(longest)
                count = last + 1 - first
                if count > 1 and (count * longest**2 > area or count * _work(longest) - work > WORTH):
                    break
                last += 1
            groups.append(_group(number, first, begun + tokens[-1], lengths[first:last], device))
            tokens[-1] += sum(lengths[first:last])
            first = last
    wanted = torch.device(device).type == "cuda" if bounded is None else bounded
    bounds = torch.tensor([0, *accumulate(lengths)], dtype=torch.int32).to(device) if wanted else None
    return Layout(tuple(groups), tuple(tokens), tuple(parts), lengths, bounds=bounds)


CHUNK, STEP = 16, 8
"""For the first tokens' attention with a way back: sequences in a group, and of what their length is a multiple."""


def chunks_of(layout: Layout, device: torch.device) -> tuple[Group, ...]:
    """The sequences of each part in groups of one size, and of few lengths.

    The matrix library makes a plan for each shape that it meets, which takes longer than the product, and keeps it.
    """
    found, first, token = [], 0, 0
    for part, count in enumerate(layout.sequences):
        for begin in range(first, first + count, CHUNK):
            lengths = layout.lengths[begin : min(begin + CHUNK, first + count)]
            found.append(_group(part, begin, token, lengths, device, -(-lengths[-1] // STEP) * STEP))
            token += sum(lengths)
        first += count
    return tuple(found)


def _work(length: int) -> int:
    """What a sequence takes, in scores of one head."""
    return length * (length + MOVE)


def between(layout: Layout, first: int, last: int) -> Layout:
    """The layout of the parts from `first` to before `last`, standing alone."""
    tokens, sequences = sum(layout.tokens[:first]), sum(layout.sequences[:first])
    groups = tuple(
        replace(
            group,
            part=group.part - first,
            sequences=slice(group.sequences.start - sequences, group.sequences.stop - sequences),
            tokens=slice(group.tokens.start - tokens, group.tokens.stop - tokens),
        )
        for group in layout.groups
        if first <= group.part < last
    )
    own = layout.sequences[first:last]
    lengths = layout.lengths[sequences : sequences + sum(own)]
    return Layout(groups, layout.tokens[first:last], own, lengths)


def _group(
    part: int, first: int, token: int, lengths: Sequence[int], device: torch.device | str, length: int | None = None
) -> Group:
    """Sequences as a group of this length; None: of the longest's."""
    count, longest, total = len(lengths), length or lengths[-1], sum(lengths)
    sequences, tokens = slice(first, first + count), slice(token, token + total)
    if total == count * longest:
        return Group(part, count, longest, sequences, tokens, None, None, None, None)
    # In numpy, whose calls on so few numbers cost a third of torch's.
    sizes, steps = np.array(lengths)[:, None], np.arange(longest)
    real = steps < sizes
    spread = (sizes.cumsum()[:, None] - sizes + np.minimum(steps, sizes - 1)).reshape(-1)
    # In rows as short as a sentence's, adding takes five times as long where each query reads the same numbers.
    repeats = longest if torch.device(device).type == "cpu" else 1
    bias = np.where(real, np.float32(0), np.float32(-np.inf))[:, None, None].repeat(repeats, 2)
    back, padding = real.reshape(-1).nonzero()[0], (~real).reshape(-1).nonzero()[0]
    chosen, own, padded, added = (torch.from_numpy(array).to(device) for array in (spread, back, padding, bias))
    return Group(part, count, longest, sequences, tokens, chosen, own, padded, added.expand(-1, -1, longest, -1))
