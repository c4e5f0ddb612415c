"""Places: what stands where, against the plain definition, and back again."""

from itertools import accumulate, pairwise

import pytest
import torch

from minbert.encoder.layout import layout_of
from minbert.encoder.places import by_head, to_rows


@pytest.mark.parametrize("lengths", [[3], [4, 4, 4], [1, 2, 2, 5], [2] * 9 + [3, 40]])
@pytest.mark.parametrize("parts", [1, 3])
def test_each_piece_stands_by_head_in_its_place_and_comes_back(lengths: list[int], parts: int) -> None:
    heads, width = 2, 4
    rows = torch.randn(sum(lengths) + 2, parts, heads, width, generator=torch.Generator().manual_seed(0))
    bounds = list(pairwise(accumulate(lengths, initial=0)))
    back = torch.zeros_like(rows)
    for group in layout_of(lengths).groups:
        placed = by_head(rows, group, padding=0.0)
        assert placed.shape == (parts, group.count * heads, group.length, width) and placed.is_contiguous()
        for number, (start, stop) in enumerate(bounds[group.sequences]):
            for part in range(parts):
                for head in range(heads):
                    mine = placed[part, number * heads + head]
                    assert torch.equal(mine[: stop - start], rows[start:stop, part, head])
                    assert not mine[stop - start :].any()
        to_rows(by_head(rows, group), group, back)
    assert torch.equal(back[: sum(lengths)], rows[: sum(lengths)])
    assert not back[sum(lengths) :].any()


def test_padding_repeats_a_token_of_the_same_sequence() -> None:
    rows = torch.arange(1.0, 6.0).view(5, 1, 1, 1)
    (group,) = layout_of([2, 3]).groups
    assert by_head(rows, group).flatten().tolist() == [1, 2, 2, 3, 4, 5]
