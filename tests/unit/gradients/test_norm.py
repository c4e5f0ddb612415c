"""The norm of a gradient that lies in several tensors."""

import math

import pytest
import torch

from minbert.gradients import norm_of
from minbert.gradients.per_task import LARGE

SIZES = [(LARGE // 8, 8), (LARGE + 3,), (5,), ()]


@pytest.mark.parametrize("chosen", [SIZES, SIZES[:2], SIZES[2:], []])
def test_it_is_that_of_all_numbers(chosen: list[tuple[int, ...]]) -> None:
    torch.manual_seed(0)
    gradients = [torch.randn(size) for size in chosen]
    exact = torch.cat([gradient.double().flatten() for gradient in gradients] or [torch.zeros(1)]).norm()
    assert norm_of(gradients).item() == pytest.approx(exact.item(), rel=1e-6)


@pytest.mark.parametrize("place", [0, 3])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_no_number_makes_it_none(place: int, value: float) -> None:
    gradients = [torch.zeros(size) for size in SIZES]
    gradients[place].view(-1)[0] = value
    assert not math.isfinite(norm_of(gradients).item())
