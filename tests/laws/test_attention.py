"""Attention over a pack agrees with its definition, and nothing passes from one sequence to another."""

import math
from dataclasses import replace
from itertools import accumulate, pairwise

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from minbert.encoder.attention import LONG, TILED, attend
from minbert.encoder.dropout import Noise
from minbert.encoder.layout import AREA, MOVE, WORTH, Layout, layout_of
from minbert.encoder.stacks import SCORES, WIDTHS, stacks_of

LENGTHS = st.lists(st.integers(1, 40), min_size=1, max_size=20).map(sorted)
SHAPES = st.tuples(st.sampled_from([1, 2, 3, 4]), st.sampled_from([1, 2, 8, 16]))
SEEDS = st.integers(0, 2**32)
law = settings(max_examples=60, deadline=None, derandomize=True)


def defined(qkv: Tensor, lengths: list[int], far: Tensor | None = None) -> Tensor:
    """The definition: for each sequence by itself, softmax(q k^T / sqrt(d)) v; scores by distance added where given."""
    outputs = []
    for start, stop in pairwise(accumulate(lengths, initial=0)):
        q, k, v = qkv[start:stop].permute(1, 2, 0, 3)
        scores = q @ k.transpose(1, 2) / math.sqrt(q.shape[-1])
        if far is not None:
            scores = scores + far[:, : stop - start, : stop - start]
        outputs.append((scores.softmax(-1) @ v).transpose(0, 1))
    return torch.cat(outputs)


def random(lengths: list[int], shape: tuple[int, int], seed: int, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """Queries, keys and values; and a gradient that comes back."""
    rng = torch.Generator().manual_seed(seed)
    qkv = torch.randn(sum(lengths), 3, *shape, generator=rng, dtype=dtype, requires_grad=True)
    return [qkv, torch.randn(sum(lengths), *shape, generator=rng, dtype=dtype)]


def standing(lengths: list[int], stacked: bool) -> Layout:
    """The layout of a pack whose short sequences share rows, where that pays, or each has its own."""
    layout = layout_of(lengths)
    return layout if stacked else replace(layout, stacks=list(layout.groups))


def differentiated(result: Tensor, qkv: Tensor, back: Tensor) -> list[Tensor]:
    return [result.detach(), *torch.autograd.grad(result, [qkv], back)]


def places(lengths: list[int], number: int) -> slice:
    """Where the tokens of a sequence stand in the pack."""
    return slice(sum(lengths[:number]), sum(lengths[: number + 1]))


@law
@given(LENGTHS, SHAPES, SEEDS, st.booleans())
def test_attend_agrees_with_the_definition_in_values_and_gradients(
    lengths: list[int], shape: tuple[int, int], seed: int, stacked: bool
) -> None:
    qkv, back = random(lengths, shape, seed)
    found = differentiated(attend(qkv, standing(lengths, stacked)), qkv, back)
    for mine, wanted in zip(found, differentiated(defined(qkv, lengths), qkv, back), strict=True):
        torch.testing.assert_close(mine, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("area", [1, 100, 200])
def test_cutting_groups_to_fit_the_cache_changes_nothing(area: int, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = [3] * 30 + [7, 9, 9, 12, 30]
    qkv, back = random(lengths, (2, 8), 0)
    expected = differentiated(attend(qkv, layout_of(lengths)), qkv, back)
    monkeypatch.setattr("minbert.encoder.layout.AREA", area)
    layout = standing(lengths, stacked=False)
    assert len(layout.groups) > 4
    for mine, wanted in zip(differentiated(attend(qkv, layout), qkv, back), expected, strict=True):
        torch.testing.assert_close(mine, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("lengths", [[9], [2, 5, 30], [20, 40]])
def test_a_few_tokens_go_another_way_to_the_same_end(lengths: list[int], dtype: torch.dtype) -> None:
    qkv, _ = random(lengths, (2, 8), 0)
    with torch.no_grad():
        few = attend(qkv.to(dtype), layout_of(lengths))
    wanted = defined(qkv.to(dtype).float(), lengths)
    near = 1e-5 if dtype == torch.float32 else 0.02
    torch.testing.assert_close(few.float(), wanted, rtol=near, atol=near)


@pytest.mark.parametrize("lengths", [[3, 5], [LONG - 20, LONG + 1], [LONG + 40, LONG + 40]])
def test_without_gradients_long_sequences_get_the_same(lengths: list[int]) -> None:
    qkv, _ = random(lengths, (2, 8), 0)
    wanted = defined(qkv.detach(), lengths)
    with torch.inference_mode():
        found = attend(qkv.detach(), layout_of(lengths))
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("tiles", [False, True])
@pytest.mark.parametrize("lengths", [[3, 5] * 9, [TILED - 3, TILED, TILED], [9] * 8 + [TILED + 7, TILED + 9]])
def test_without_gradients_bfloat16_gets_the_same_on_any_processor(
    lengths: list[int], tiles: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("minbert.encoder.attention.has_tiles", lambda: tiles)
    lengths = sorted(lengths)
    low = random(lengths, (2, 16), 0)[0].detach().bfloat16()
    with torch.inference_mode():
        found = attend(torch.cat([low, low[:3]]), layout_of(lengths))
    assert not found[sum(lengths) :].any()
    torch.testing.assert_close(found[: sum(lengths)].float(), defined(low.float(), lengths), rtol=0.02, atol=0.02)


@pytest.mark.parametrize("length", [8, LONG, LONG + 8])
def test_in_bfloat16_no_more_is_lost_than_its_rounding(length: int) -> None:
    qkv, _ = random([length] * 2, (2, 16), 0)
    low = qkv.detach().bfloat16()
    torch.testing.assert_close(
        attend(low, layout_of([length] * 2)).float(), defined(low.float(), [length] * 2), rtol=0.02, atol=0.02
    )


@pytest.mark.parametrize("stacked", [False, True])
@pytest.mark.parametrize("lengths", [[1], [1, 1, 1], [1, 2, 3, 4, 5], [2, 2, 4, 9]])
def test_gradients_agree_with_finite_differences(lengths: list[int], stacked: bool) -> None:
    qkv, _ = random(lengths, (2, 3), 0, torch.float64)
    layout = standing(lengths, stacked)
    assert torch.autograd.gradcheck(lambda x: attend(x, layout), [qkv])


@law
@given(LENGTHS, SHAPES, SEEDS, st.data())
def test_a_sequence_leaves_the_others_outputs_and_gradients_as_they_were(
    lengths: list[int], shape: tuple[int, int], seed: int, data: st.DataObject
) -> None:
    mine = places(lengths, data.draw(st.integers(0, len(lengths) - 1)))
    others = torch.ones(sum(lengths), dtype=torch.bool)
    others[mine] = False
    # (Where sequences have rows of their own, not even what is no number passes. In a stack it would: 0 * nan is nan.)
    stacked = data.draw(st.booleans())
    odd, odd_back = (1e3, -1e3) if stacked else (math.nan, math.inf)
    layout = standing(lengths, stacked)
    qkv, back = random(lengths, shape, seed)
    changed, other = qkv.detach().clone(), back.clone()
    changed[mine], other[mine] = odd, odd_back
    before = differentiated(attend(qkv, layout), qkv, back)
    changed.requires_grad_()
    after = differentiated(attend(changed, layout), changed, other)
    for old, new in zip(before, after, strict=True):
        assert torch.equal(old[others], new[others])


@law
@given(LENGTHS, SEEDS, st.booleans())
def test_what_stands_in_padded_places_never_matters(lengths: list[int], seed: int, stacked: bool) -> None:
    layout = standing(lengths, stacked)
    qkv, back = random(lengths, (2, 4), seed)
    rng = torch.Generator().manual_seed(seed)
    other = []
    for group in stacks_of(layout):
        if group.spread is not None and group.back is not None:
            elsewhere = torch.randint(group.tokens.stop - group.tokens.start, group.spread.shape, generator=rng)
            spread = elsewhere.index_copy(0, group.back, group.spread[group.back])
            group = replace(group, spread=spread, places={})
        other.append(group)
    found = differentiated(attend(qkv, replace(layout, stacks=other)), qkv, back)
    for mine, wanted in zip(found, differentiated(attend(qkv, layout), qkv, back), strict=True):
        assert torch.equal(mine, wanted)


@law
@given(st.lists(st.lists(st.integers(1, 140), min_size=1, max_size=60).map(sorted), min_size=1, max_size=3))
def test_each_token_has_a_place_in_a_stack_and_sees_its_own_sequence(parts: list[list[int]]) -> None:
    lengths = [length for part in parts for length in part]
    layout = layout_of(lengths, [len(part) for part in parts])
    whose = torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths))
    sequences = tokens = 0
    for group in stacks_of(layout):
        assert (group.sequences.start, group.tokens.start) == (sequences, tokens)
        sequences, tokens = group.sequences.stop, group.tokens.stop
        if any(group is one for one in layout.groups):
            continue
        assert group.length in WIDTHS and group.count * group.length**2 <= SCORES
        assert group.spread is not None and group.back is not None and group.bias is not None
        assert torch.equal(group.spread[group.back], torch.arange(tokens - group.tokens.start))
        owner = torch.full((group.count * group.length,), -1).index_copy(0, group.back, whose[group.tokens])
        rows = owner.view(group.count, group.length)
        assert torch.equal(group.bias[:, 0] == 0, rows[:, :, None] == rows[:, None, :])
        assert torch.equal(group.padding, (owner < 0).nonzero()[:, 0])
    assert (sequences, tokens) == (len(lengths), sum(lengths))


def test_how_a_part_is_stacked_does_not_depend_on_its_company() -> None:
    parts = [[12, 14, 15, 20, 30], [3] * 40, [20, 60, 61, 300]]
    together = stacks_of(layout_of([length for part in parts for length in part], [len(part) for part in parts]))
    alone = [(number, group) for number, part in enumerate(parts) for group in stacks_of(layout_of(part))]
    assert [(g.part, g.count, g.length) for g in together] == [(n, g.count, g.length) for n, g in alone]
    assert [(group.count, group.length) for group in together] == [(3, 32), (40, 3), (3, 64), (1, 300)]


@law
@given(st.lists(st.integers(1, 300), min_size=1, max_size=40).map(sorted))
def test_each_token_has_a_place_of_its_own_in_a_group_with_little_padding(lengths: list[int]) -> None:
    sequences = tokens = 0
    rest = list(lengths)
    for group in layout_of(lengths).groups:
        members, rest = rest[: group.count], rest[group.count :]
        padding = sum(group.length * (group.length + MOVE) - length * (length + MOVE) for length in members)
        assert members[-1] == group.length and 0 <= padding <= WORTH
        assert group.count == 1 or group.count * group.length**2 <= AREA
        assert group.sequences == slice(sequences, sequences + group.count)
        assert group.tokens == slice(tokens, tokens + sum(members))
        sequences, tokens = group.sequences.stop, group.tokens.stop
        assert (group.spread is None) == (group.back is None) == (group.bias is None) == (members[0] == members[-1])
        if group.spread is not None and group.back is not None:
            assert torch.equal(group.spread[group.back], torch.arange(sum(members)))
            assert len(group.spread) == group.count * group.length
    assert rest == []


def test_dropout_drops_weights_and_keeps_their_mean() -> None:
    lengths = [3, 4, 6, 20]
    qkv = random(lengths, (2, 4), 0)[0].detach()
    qkv[:, 2] = 1.0
    torch.manual_seed(0)
    sums = torch.stack([attend(qkv, layout_of(lengths), dropout=0.5) for _ in range(1000)])
    assert sums.std() > 0.1
    torch.testing.assert_close(sums.mean(0), torch.ones_like(sums[0]), rtol=0, atol=0.15)


def test_the_way_back_goes_through_the_same_mask() -> None:
    lengths = [3, 4, 6, 20]
    qkv, _ = random(lengths, (2, 4), 0, torch.float64)

    def run(x: Tensor) -> Tensor:
        torch.manual_seed(1)
        return attend(x, layout_of(lengths), dropout=0.3)

    assert torch.autograd.gradcheck(run, [qkv])


@law
@given(st.lists(LENGTHS, min_size=1, max_size=3), st.integers(0, 5), SEEDS)
def test_parts_of_a_pack_and_padding_behind_it_are_apart(parts: list[list[int]], padding: int, seed: int) -> None:
    lengths = [length for part in parts for length in part]
    qkv, back = random(lengths, (2, 4), seed)
    layout = layout_of(lengths, [len(part) for part in parts])
    assert layout.tokens == tuple(map(sum, parts)) and layout.sequences == tuple(map(len, parts))
    noise = Noise(layout, range(len(parts)), qkv.device)
    padded = F.pad(qkv, (0, 0, 0, 0, 0, 0, 0, padding))
    whole = attend(padded, layout, 0.4, noise)
    rows = [sum(part) for part in parts]
    to_qkv = torch.autograd.grad(whole[: sum(rows)], qkv, back)[0]
    assert not whole[sum(rows) :].any()
    splits = zip(qkv.split([*map(sum, parts)]), whole.split([*rows, len(whole) - sum(rows)]), strict=False)
    grads = zip(to_qkv.split([*map(sum, parts)]), back.split(rows), strict=True)
    for number, ((mine, found), (gradient, mine_back), part) in enumerate(zip(splits, grads, parts, strict=True)):
        alone = layout_of(part)
        x = mine.detach().requires_grad_()
        wanted = attend(x, alone, 0.4, Noise(alone, [number], x.device))
        torch.testing.assert_close(found, wanted)
        torch.testing.assert_close(gradient, torch.autograd.grad(wanted, x, mine_back)[0])


def distanced(lengths: list[int], far: Tensor) -> Layout:
    """The layout of a pack with scores by distance, cut to the length of each group."""
    layout = layout_of(lengths)
    return replace(layout, relative=tuple(far[:, : group.length, : group.length] for group in layout.groups))


def scores_by_distance(longest: int, heads: int, seed: int, dtype: torch.dtype = torch.float32) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(heads, longest, longest, generator=rng, dtype=dtype, requires_grad=True)


@law
@given(LENGTHS, SHAPES, SEEDS)
def test_scores_by_distance_are_added_and_get_their_gradient(
    lengths: list[int], shape: tuple[int, int], seed: int
) -> None:
    qkv, back = random(lengths, shape, seed)
    far = scores_by_distance(lengths[-1], shape[0], seed)
    result = attend(qkv, distanced(lengths, far))
    wanted = defined(qkv, lengths, far)
    torch.testing.assert_close(result, wanted, rtol=1e-5, atol=1e-5)
    gradients = [torch.autograd.grad(out, [qkv, far], back) for out in (result, wanted)]
    for mine, other in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-5)


def test_scores_by_distance_and_dropout_have_their_way_back_through_the_same_mask() -> None:
    lengths = [2, 3, 12]
    qkv, _ = random(lengths, (1, 2), 0, torch.float64)
    far = scores_by_distance(12, 1, 0, torch.float64)

    def run(x: Tensor, y: Tensor) -> Tensor:
        torch.manual_seed(1)
        return attend(x, distanced(lengths, y), dropout=0.3)

    assert torch.autograd.gradcheck(run, [qkv, far])


@pytest.mark.parametrize("length", [8, LONG, LONG + 8])
def test_scores_by_distance_in_bfloat16_and_without_gradients(length: int) -> None:
    lengths = [length - 3, length]
    qkv, back = random(lengths, (2, 16), 0)
    far = scores_by_distance(length, 2, 0)
    wanted = defined(qkv, lengths, far)
    with torch.inference_mode():
        torch.testing.assert_close(attend(qkv.detach(), distanced(lengths, far.detach())), wanted, rtol=1e-5, atol=1e-5)
    result = attend(qkv.bfloat16(), distanced(lengths, far))
    torch.testing.assert_close(result.float(), wanted, rtol=0.03, atol=0.03)
    found, exact = (torch.autograd.grad(out, far, back.to(out.dtype))[0] for out in (result, wanted))
    assert found.dtype == torch.float32 and (found - exact).norm() < 0.02 * exact.norm()
