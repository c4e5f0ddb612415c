"""Where only the first tokens ask, they get what attention always gives them, though no key or value is computed."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from minbert.encoder.attention import attend
from minbert.encoder.dropout import Noise
from minbert.encoder.firsts import attend_firsts
from minbert.encoder.layout import CHUNK, STEP, Layout, chunks_of, layout_of

HEADS, SIZE, WIDTH = 3, 4, 10
LENGTHS = st.lists(st.integers(1, 40), min_size=1, max_size=20).map(sorted)
SEEDS = st.integers(0, 2**32)
law = settings(max_examples=60, deadline=None, derandomize=True)


def made(lengths: list[int], seed: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """Tokens, the projection's weight and bias; all want a gradient."""
    rng = torch.Generator().manual_seed(seed)
    shapes = ((sum(lengths), WIDTH), (3 * HEADS * SIZE, WIDTH), (3 * HEADS * SIZE,))
    return [torch.randn(*shape, generator=rng, dtype=dtype, requires_grad=True) for shape in shapes]


def defined(parts: Sequence[Tensor], lengths: list[int], layout: Layout) -> Tensor:
    """All queries, keys and values, all answers; of these the first tokens'."""
    qkv = F.linear(*parts).unflatten(-1, (3, HEADS, -1))
    return attend(qkv, layout).flatten(1)[list(accumulate(lengths, initial=0))[:-1]]


def differentiated(result: Tensor, inputs: Sequence[Tensor]) -> list[Tensor]:
    rng = torch.Generator().manual_seed(1)
    back = torch.randn(result.shape, generator=rng, dtype=result.dtype)
    return [result.detach(), *torch.autograd.grad(result, inputs, back)]


def distanced(lengths: list[int], far: Tensor) -> Layout:
    """The layout of a pack with scores by distance."""
    layout = layout_of(lengths)
    return replace(layout, relative=tuple(far[:, : group.length, : group.length] for group in layout.groups))


@law
@given(st.lists(LENGTHS, min_size=1, max_size=3))
def test_every_sequence_stands_in_a_group_of_one_of_few_shapes(parts: list[list[int]]) -> None:
    layout = layout_of([length for part in parts for length in part], [len(part) for part in parts])
    groups = chunks_of(layout, torch.device("cpu"))
    bounds = list(accumulate(layout.lengths, initial=0))
    assert [i for group in groups for i in range(group.sequences.start, group.sequences.stop)] == [
        *range(len(bounds) - 1)
    ]
    for group in groups:
        assert group.tokens == slice(bounds[group.sequences.start], bounds[group.sequences.stop])
        assert group.length % STEP == 0 and 0 <= group.length - layout.lengths[group.sequences.stop - 1] < STEP
    assert [group.count for group in groups if group.count != CHUNK] == [
        n % CHUNK for n in map(len, parts) if n % CHUNK
    ]


@law
@given(LENGTHS, SEEDS, st.booleans())
def test_values_and_gradients_are_those_of_all_tokens_asking(lengths: list[int], seed: int, by_distance: bool) -> None:
    inputs = made(lengths, seed)
    rng = torch.Generator().manual_seed(seed)
    far = torch.randn(HEADS, lengths[-1], lengths[-1], generator=rng, dtype=torch.float64, requires_grad=True)
    layout = distanced(lengths, far) if by_distance else layout_of(lengths)
    wanted_of = [*inputs, far] if by_distance else inputs
    found = differentiated(attend_firsts(*inputs, HEADS, layout), wanted_of)
    for mine, other in zip(found, differentiated(defined(inputs, lengths, layout), wanted_of), strict=True):
        torch.testing.assert_close(mine, other)


@pytest.mark.parametrize("lengths", [[1], [1, 1, 1], [1, 2, 3, 4, 5], [2, 2, 4, 9]])
@pytest.mark.parametrize("share", [0.0, 0.3])
def test_gradients_agree_with_finite_differences(lengths: list[int], share: float) -> None:
    layout = layout_of(lengths)

    def run(hidden: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return attend_firsts(hidden, weight, bias, HEADS, layout, share, Noise(layout, [0], hidden.device))

    assert torch.autograd.gradcheck(run, made(lengths, 0))


def test_dropout_drops_weights_and_keeps_their_mean() -> None:
    lengths = [3, 4, 6, 20]
    hidden, weight, bias = (x.detach() for x in made(lengths, 0))
    weight[2 * HEADS * SIZE :], bias[2 * HEADS * SIZE :] = 0.0, 1.0
    layout = layout_of(lengths)
    torch.manual_seed(0)
    sums = torch.stack([attend_firsts(hidden, weight, bias, HEADS, layout, 0.5) for _ in range(1000)])
    assert sums.std() > 0.1
    torch.testing.assert_close(sums.mean(0), torch.ones_like(sums[0]), rtol=0, atol=0.15)


@law
@given(st.lists(LENGTHS, min_size=1, max_size=3), st.integers(0, 5), SEEDS)
def test_parts_of_a_pack_and_padding_behind_it_are_apart(parts: list[list[int]], padding: int, seed: int) -> None:
    hidden, weight, bias = made([length for part in parts for length in part], seed)
    layout = layout_of([length for part in parts for length in part], [len(part) for part in parts])
    noise = Noise(layout, range(len(parts)), hidden.device)
    padded = F.pad(hidden, (0, 0, 0, padding), value=1e9)
    whole = attend_firsts(padded, weight, bias, HEADS, layout, 0.4, noise)
    assert len(whole) == sum(map(len, parts))
    to_hidden = torch.autograd.grad(whole.sum(), hidden)[0]
    splits = (hidden.split([*map(sum, parts)]), whole.split([*map(len, parts)]), to_hidden.split([*map(sum, parts)]))
    for number, (mine, found, gradient) in enumerate(zip(*splits, strict=True)):
        alone = layout_of(parts[number])
        x = mine.detach().requires_grad_()
        wanted = attend_firsts(x, weight, bias, HEADS, alone, 0.4, Noise(alone, [number], x.device))
        torch.testing.assert_close(found, wanted)
        torch.testing.assert_close(gradient, torch.autograd.grad(wanted.sum(), x)[0])


def test_in_bfloat16_no_more_is_lost_than_its_rounding() -> None:
    lengths = [7, 9, 30]
    inputs = [x.detach().bfloat16() for x in made(lengths, 0, torch.float32)]
    layout = layout_of(lengths)
    exact = [x.float() * scale for x, scale in zip(inputs, (1.0, 0.25, 1.0), strict=True)]
    found = attend_firsts(*(x.bfloat16() for x in exact), HEADS, layout)
    torch.testing.assert_close(found.float(), defined(exact, lengths, layout), rtol=0.03, atol=0.03)
