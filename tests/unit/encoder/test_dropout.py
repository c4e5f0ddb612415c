"""Masks, and dropping without one."""

import pytest
import torch

from minbert.encoder.dropout import Noise, keep
from minbert.encoder.layout import layout_of

CPU = torch.device("cpu")
LAYOUT = layout_of([3, 5, 7], [2, 1])


def noise() -> Noise:
    return Noise(LAYOUT, [1, 2], CPU)


@pytest.mark.parametrize("share", [1e-6, 2**-16, 0.1, 0.5, 0.9])
def test_a_mask_is_the_same_in_every_type(share: float) -> None:
    exact, _ = noise().of_rows(torch.ones(15, 256), share)
    half, factor = noise().of_rows(torch.ones(15, 256).bfloat16(), share)
    assert torch.equal(exact, half.float()) and set(exact.unique().tolist()) <= {0.0, 1.0}
    assert abs((1 - exact).mean().item() - share) < 0.03
    assert factor == pytest.approx(1 / (1 - share), rel=1e-4)


def test_a_share_that_rounds_to_none_drops_nothing() -> None:
    weights = torch.rand(12, 7, 7, generator=torch.Generator().manual_seed(0)).bfloat16()
    assert torch.equal(noise().drop(weights, 0, 1e-6), weights) and noise().factor(1e-6) == 1.0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dropping_is_the_product_with_the_mask_that_would_come_next(dtype: torch.dtype) -> None:
    weights = torch.rand(12, 7, 7, generator=torch.Generator().manual_seed(0)).to(dtype)
    first, other = noise(), noise()
    for part in (0, 1, 0):
        mask = other.of_weights(weights, part, 0.3)
        assert torch.equal(first.drop(weights, part, 0.3), weights * mask) and 0 < mask.mean() < 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_keep_chooses_numbers_of_either_sign_and_leaves_them_as_they_are(dtype: torch.dtype) -> None:
    x = torch.tensor([1.5, -2.0, 1e-30, -1e-30, 7.0, -7.0]).to(dtype)
    mask = torch.tensor([1.0, 1.0, 1e-30, 0.3, 0.0, 0.0]).to(dtype)
    wanted = torch.cat([x[:4], torch.zeros(2, dtype=dtype)])
    assert torch.equal(keep(x, mask), wanted)
    assert keep(x, mask, out=x) is x and torch.equal(x, wanted)


@pytest.mark.parametrize("share", [0.1, 0.25, 0.6])
def test_no_element_tells_of_another(share: float) -> None:
    # An odd number, so that the halves differ in size.
    size = (1 << 21) - 1
    mask = Noise(layout_of([1]), [5], CPU).of_weights(torch.empty(size), 0, share)
    dropped, middle = (mask == 0).double(), (size + 1) // 2
    assert abs(dropped.mean().item() - share) < 4 * (share * (1 - share) / size) ** 0.5
    # Neighbours, neighbours but one, and those half a mask apart, of whose numbers one takes a part from the other.
    for distance, most in ((1, 0.004), (2, 0.004), (middle - 1, 0.005), (middle, 1 / 256 + 0.005)):
        pair = torch.stack([dropped[:-distance], dropped[distance:]])
        assert abs(torch.corrcoef(pair)[0, 1].item()) < most, distance


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 16, 17])
def test_masks_of_every_size(size: int) -> None:
    kept = sum(Noise(layout_of([1]), [seed], CPU).of_weights(torch.empty(size), 0, 0.5) for seed in range(400)) / 400
    assert torch.all((kept > 0.35) & (kept < 0.65)), kept
