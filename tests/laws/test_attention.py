"""Attention over a pack agrees with its definition, and nothing passes from one sequence to another."""

import math
from dataclasses import replace
from itertools import accumulate, pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from minbert.encoder.attention import GROWTH, SLACK, attend, layout_of

LENGTHS = st.lists(st.integers(1, 40), min_size=1, max_size=20).map(sorted)
SHAPES = st.tuples(st.sampled_from([1, 2, 3, 4]), st.sampled_from([1, 2, 8, 16]))
SEEDS = st.integers(0, 2**32)
law = settings(max_examples=60, deadline=None, derandomize=True)


def defined(query: Tensor, key: Tensor, value: Tensor, lengths: list[int]) -> Tensor:
    """The definition: for each sequence by itself, softmax(q k^T / sqrt(d)) v."""
    outputs = []
    for start, stop in pairwise(accumulate(lengths, initial=0)):
        q, k, v = (x[start:stop].transpose(0, 1) for x in (query, key, value))
        scores = q @ k.transpose(1, 2) / math.sqrt(q.shape[-1])
        outputs.append((scores.softmax(-1) @ v).transpose(0, 1))
    return torch.cat(outputs)


def random(lengths: list[int], shape: tuple[int, int], seed: int, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """A query, a key, a value, and a gradient that comes back."""
    rng = torch.Generator().manual_seed(seed)
    return [torch.randn(sum(lengths), *shape, generator=rng, dtype=dtype) for _ in range(4)]


def differentiated(result: Tensor, inputs: list[Tensor], back: Tensor) -> list[Tensor]:
    return [result.detach(), *torch.autograd.grad(result, inputs, back)]


def places(lengths: list[int], number: int) -> slice:
    """Where the tokens of a sequence stand in the pack."""
    return slice(sum(lengths[:number]), sum(lengths[: number + 1]))


@law
@given(LENGTHS, SHAPES, SEEDS)
def test_attend_agrees_with_the_definition_in_values_and_gradients(
    lengths: list[int], shape: tuple[int, int], seed: int
) -> None:
    *inputs, back = random(lengths, shape, seed)
    inputs = [x.requires_grad_() for x in inputs]
    found = differentiated(attend(*inputs, layout_of(lengths)), inputs, back)
    for mine, wanted in zip(found, differentiated(defined(*inputs, lengths), inputs, back), strict=True):
        torch.testing.assert_close(mine, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("lengths", [[1], [1, 1, 1], [1, 2, 3, 4, 5], [2, 2, 4, 9]])
def test_gradients_agree_with_finite_differences(lengths: list[int]) -> None:
    inputs = [x.requires_grad_() for x in random(lengths, (2, 3), 0, torch.float64)[:3]]
    layout = layout_of(lengths)
    assert torch.autograd.gradcheck(lambda q, k, v: attend(q, k, v, layout), inputs)


@law
@given(LENGTHS, SHAPES, SEEDS, st.data())
def test_a_sequence_leaves_the_others_outputs_and_gradients_as_they_were(
    lengths: list[int], shape: tuple[int, int], seed: int, data: st.DataObject
) -> None:
    number = data.draw(st.integers(0, len(lengths) - 1))
    layout, mine = layout_of(lengths), places(lengths, number)
    others = torch.ones(sum(lengths), dtype=torch.bool)
    others[mine] = False
    *inputs, back = random(lengths, shape, seed)
    changed = [x.clone() for x in (*inputs, back)]
    for x, fill in zip(changed, (math.nan, math.inf, -math.inf, math.nan), strict=True):
        x[mine] = fill
    before = differentiated(attend(*(x.requires_grad_() for x in inputs), layout), inputs, back)
    *inputs, back = changed
    after = differentiated(attend(*(x.requires_grad_() for x in inputs), layout), inputs, back)
    for old, new in zip(before, after, strict=True):
        assert torch.equal(old[others], new[others])


@law
@given(LENGTHS, SEEDS)
def test_what_stands_in_padded_places_never_matters(lengths: list[int], seed: int) -> None:
    layout = layout_of(lengths)
    *inputs, back = random(lengths, (2, 4), seed)
    elsewhere = torch.randint(sum(lengths), layout.spread.shape, generator=torch.Generator().manual_seed(seed))
    other = replace(layout, spread=elsewhere.index_copy(0, layout.back, layout.spread[layout.back]))
    inputs = [x.requires_grad_() for x in inputs]
    found = differentiated(attend(*inputs, other), inputs, back)
    for mine, wanted in zip(found, differentiated(attend(*inputs, layout), inputs, back), strict=True):
        assert torch.equal(mine, wanted)


@law
@given(LENGTHS)
def test_each_token_has_a_place_of_its_own_in_a_group_of_near_equal_lengths(lengths: list[int]) -> None:
    layout = layout_of(lengths)
    assert torch.equal(layout.spread[layout.back], torch.arange(sum(lengths)))
    assert layout.padded == (len(layout.spread) > sum(lengths))
    ends = [group.start + group.count * group.length for group in layout.groups]
    assert [group.start for group in layout.groups] == [0, *ends[:-1]] and ends[-1] == len(layout.spread)
    rest = list(lengths)
    for group in layout.groups:
        members, rest = rest[: group.count], rest[group.count :]
        assert members[-1] == group.length <= max(GROWTH * members[0], SLACK + members[0])
        assert (group.mask is None) == (members[0] == members[-1])
    assert rest == []


@pytest.mark.parametrize("count", [1, 3])
def test_equal_lengths_are_never_spread(count: int) -> None:
    layout = layout_of([5] * count)
    assert not layout.padded and len(layout.groups) == 1 and layout.groups[0].mask is None


def test_dropout_drops_weights_and_keeps_their_mean() -> None:
    lengths = [3, 4, 6]
    query, key, *_ = random(lengths, (2, 4), 0)
    layout, ones = layout_of(lengths), torch.ones_like(key)
    torch.manual_seed(0)
    sums = torch.stack([attend(query, key, ones, layout, dropout=0.5) for _ in range(1000)])
    assert sums.std() > 0.1
    torch.testing.assert_close(sums.mean(0), ones, rtol=0, atol=0.15)
