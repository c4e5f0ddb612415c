"""Stacks: several short sequences one behind the other in a row of places, for attention with a way back.

The calls for a group of sequences cost as much as 24,576 scores, whatever the group's size, and a batch of 32 sentences
has two or three groups of a dozen sequences. In rows of 32, 64, 96 or 128 places they are one, whose rows fill vector
registers and matrix tiles to the last number. That is worth the scores between sequences, which are thrown away.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
import torch

from minbert.encoder.layout import WORTH, Group, Layout
from minbert.encoder.softmax import REGISTER

WIDTHS = (32, 64, 96, 128)
"""Of rows, in places."""

RAGGED, WHOLE = 72, 44
"""What a place costs beside its scores, in scores: in rows of any length, and in rows of a multiple of 32. Measured in
bfloat16 on a processor with AMX; in float32 the two are 55 and 36."""

SCORES = 1 << 18
"""The most scores of one head in a stack: beyond, those of all heads leave the processor's cache."""


class _Stack(NamedTuple):
    """Which sequences stand in each row, and how wide the rows are."""

    rows: list[list[int]]
    width: int


class _Plan(NamedTuple):
    """What the first groups of a part cost, and how they stand: a run of them, stacked or (a run of one) as it is."""

    cost: int
    steps: tuple[tuple[Sequence[Group], _Stack | None], ...]


def stacks_of(layout: Layout) -> Sequence[Group]:
    """The groups of a pack with runs of them stacked where that costs less; worked out at the first call.

    Which these are depends on the lengths of a part alone, and so do the masks of its dropout.
    """
    if not layout.stacks:
        for _, part in groupby(layout.groups, lambda group: group.part):
            steps = _cheapest(list(part), layout.lengths).steps
            layout.stacks.extend(_stacked(groups, layout.lengths, how) if how else groups[0] for groups, how in steps)
    return layout.stacks


def _cheapest(groups: Sequence[Group], lengths: Sequence[int]) -> _Plan:
    """The groups of a part, runs of them stacked, so that they cost least."""
    plans = [_Plan(0, ())]
    for end, last in enumerate(groups, 1):
        before = plans[-1]
        best = _Plan(before.cost + _cost(last.count, last.length), (*before.steps, ([last], None)))
        for begin, before in enumerate(plans):
            run = groups[begin:end]
            for stack in _stacks(run, lengths, best.cost - before.cost):
                cost = before.cost + _cost(len(stack.rows), stack.width)
                best = min(best, _Plan(cost, (*before.steps, (run, stack))), key=lambda plan: plan.cost)
        plans.append(best)
    return plans[-1]


def _cost(rows: int, length: int) -> int:
    """What so many rows of places take, in scores of one head."""
    return WORTH + rows * length * (length + (RAGGED if length % REGISTER else WHOLE))


def _stacks(groups: Sequence[Group], lengths: Sequence[int], limit: int) -> Iterator[_Stack]:
    """The ways to stack groups that may cost less than a limit."""
    sequences = range(groups[0].sequences.start, groups[-1].sequences.stop)
    tokens, longest = groups[-1].tokens.stop - groups[0].tokens.start, groups[-1].length
    for width in WIDTHS:
        fewest = -(-tokens // width)
        most = SCORES // width**2
        if width >= longest and fewest <= most and _cost(fewest, width) < limit:
            rows = _rows(sequences, lengths, width)
            if len(rows) <= most:
                yield _Stack(rows, width)


def _rows(sequences: range, lengths: Sequence[int], width: int) -> list[list[int]]:
    """Which sequences share a row: from the longest on, each goes where it leaves the least room."""
    rows: list[list[int]] = []
    room: list[tuple[int, int]] = []
    for number in reversed(sequences):
        at = bisect_left(room, (lengths[number], 0))
        left, row = room.pop(at) if at < len(room) else (width, len(rows))
        if row == len(rows):
            rows.append([])
        rows[row].append(number)
        insort(room, (left - lengths[number], row))
    return rows


def _stacked(groups: Sequence[Group], lengths: Sequence[int], stack: _Stack) -> Group:
    """Groups of a part as one group, whose rows hold several sequences."""
    first, tokens = groups[0].sequences.start, slice(groups[0].tokens.start, groups[-1].tokens.stop)
    sequences = slice(first, groups[-1].sequences.stop)
    # In numpy, whose calls on so few numbers cost a third of torch's.
    sizes = np.array(lengths[sequences])
    starts = np.empty_like(sizes)
    for row, members in enumerate(stack.rows):
        place = row * stack.width
        for number in members:
            starts[number - first] = place
            place += lengths[number]
    before = sizes.cumsum() - sizes
    back = np.arange(sizes.sum()) + (starts - before).repeat(sizes)
    # In the places behind a row's last sequence, its longest one's first token stands again.
    spread = before[[members[0] - first for members in stack.rows]].repeat(stack.width)
    spread[back] = np.arange(len(back))
    owner = np.full((len(stack.rows), 1, stack.width), -1)
    owner.reshape(-1)[back] = np.arange(len(sizes)).repeat(sizes)
    padding = (owner.reshape(-1) < 0).nonzero()[0]
    # Places of one sequence see each other, and those of none each other.
    bias = np.where(owner[..., None] == owner[..., None, :], np.float32(0), np.float32(-np.inf))
    part, count = groups[0].part, len(stack.rows)
    tensor = torch.from_numpy
    places = (tensor(spread), tensor(back), tensor(padding), tensor(bias))
    return Group(part, count, stack.width, sequences, tokens, *places)
