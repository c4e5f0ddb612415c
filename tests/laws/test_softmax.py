"""Softmax and its way back agree with their definitions at every length, in every type."""

import pytest
import torch

from minbert.encoder.softmax import NARROW, VERY_WIDE, WIDE, softmax, softmax_back

LENGTHS = [1, 2, NARROW - 1, NARROW, NARROW + 1, WIDE - 1, WIDE, VERY_WIDE, VERY_WIDE + 1]
NEAR = {torch.float64: 1e-14, torch.float32: 1e-6, torch.bfloat16: 4e-3}


@pytest.mark.parametrize("dtype", NEAR)
@pytest.mark.parametrize("length", LENGTHS)
def test_they_agree_with_the_definition(length: int, dtype: torch.dtype) -> None:
    rng = torch.Generator().manual_seed(length)
    scores = (8 * torch.randn(6, 3, length, generator=rng, dtype=torch.float64)).to(dtype)
    grad = torch.randn(6, 3, length, generator=rng, dtype=torch.float64).to(dtype)
    exact = scores.double().exp()
    exact = exact / exact.sum(-1, keepdim=True)
    weights = softmax(scores.clone())
    assert weights.dtype == dtype
    torch.testing.assert_close(weights.double(), exact, rtol=0, atol=NEAR[dtype])
    # The way back is that of the weights as they were rounded.
    kept, given = weights.double(), grad.double()
    expected = kept * (given - (given * kept).sum(-1, keepdim=True))
    found = softmax_back(grad.clone(), weights)
    assert found.dtype == dtype
    torch.testing.assert_close(found.double(), expected, rtol=NEAR[dtype], atol=4 * NEAR[dtype])


@pytest.mark.parametrize("length", [4, 20])
def test_no_weight_goes_to_padding_and_great_scores_do_not_overflow(length: int) -> None:
    scores = torch.full((2, 3, length), 3e38)
    scores[..., -1] = -torch.inf
    weights = softmax(scores)
    assert (weights[..., -1] == 0).all()
    torch.testing.assert_close(weights[..., :-1], torch.full((2, 3, length - 1), 1 / (length - 1)))
