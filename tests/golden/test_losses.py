"""Losses on numbers worked out by hand."""

import math

import pytest
import torch
from torch import Tensor

from minbert.losses import BinaryCrossEntropy, CrossEntropy, MultipleNegativesRanking, SquaredError, Targets
from minbert.outputs import Outputs


def targets(labels: Tensor, low: float = 0.0, high: float = 1.0) -> Targets:
    hashes = torch.arange(2 * len(labels)).reshape(-1, 2)
    return Targets(labels, low, high, hashes)


def test_cross_entropy() -> None:
    scores = torch.tensor([[0.0, math.log(3.0)], [0.0, 0.0]])
    labels = torch.tensor([1, 0])
    # -log(3/4) and -log(1/2)
    plain = (math.log(4 / 3) + math.log(2)) / 2
    assert float(CrossEntropy()(Outputs(scores), targets(labels))) == pytest.approx(plain, abs=1e-6)
    # Smoothing .2 over two classes: .9 on the label, .1 on the other.
    smooth = (0.9 * math.log(4 / 3) + 0.1 * math.log(4) + math.log(2)) / 2
    assert float(CrossEntropy(smoothing=0.2)(Outputs(scores), targets(labels))) == pytest.approx(smooth, abs=1e-6)


def test_binary_cross_entropy() -> None:
    # p = 3/4 for a yes, p = 1/2 for a no.
    scores = torch.tensor([[math.log(3.0)], [0.0]])
    found = BinaryCrossEntropy()(Outputs(scores), targets(torch.tensor([1, 0])))
    assert float(found) == pytest.approx((math.log(4 / 3) + math.log(2)) / 2, abs=1e-6)


def test_squared_error_is_on_the_scale_from_0_to_1() -> None:
    scores = torch.tensor([[0.5], [1.0]])
    found = SquaredError()(Outputs(scores), targets(torch.tensor([5.0, 2.5]), 0.0, 5.0))
    assert float(found) == pytest.approx((0.25 + 0.25) / 2, abs=1e-6)


@pytest.mark.parametrize(("scale", "probability"), [(1.0, 0.038), (20.0, 0.638)])
def test_ranking_with_32_pairs_at_cosines_of_8_and_6_tenths(scale: float, probability: float) -> None:
    # Vectors with a_i . b_i = .8 and a_i . b_j = .6: a = b = sqrt(.6) on a common axis, sqrt(.2) on one's own, and a
    # rest on axes that a and b do not share.
    size = 32
    own, common = 0.2**0.5, 0.6**0.5
    rest = (1 - 0.8) ** 0.5
    shared = torch.cat([torch.full((size, 1), common), own * torch.eye(size)], dim=1)
    left = torch.cat([shared, torch.full((size, 1), rest), torch.zeros(size, 1)], dim=1)
    right = torch.cat([shared, torch.zeros(size, 1), torch.full((size, 1), rest)], dim=1)
    outputs = Outputs(torch.zeros(size, 1), (left, right))
    found = MultipleNegativesRanking(scale=scale)(outputs, targets(torch.ones(size, dtype=torch.long)))
    assert math.exp(-float(found)) == pytest.approx(probability, abs=5e-4)


def test_ranking_learns_from_the_positive_pairs_only() -> None:
    ratings = torch.tensor([3.9, 4.0, 5.0])
    spec = targets(ratings, 0.0, 5.0)
    assert MultipleNegativesRanking().usable(spec).tolist() == [False, True, True]
    assert MultipleNegativesRanking(positive=4.5).usable(spec).tolist() == [False, False, True]


def test_a_range_that_does_not_begin_at_0() -> None:
    # From 1 to 5 the ratings 3, 1, 5 are .5, 0, 1; the top fifth begins at 4.2.
    found = SquaredError()(Outputs(torch.full((3, 1), 0.5)), targets(torch.tensor([3.0, 1.0, 5.0]), 1.0, 5.0))
    assert float(found) == pytest.approx((0 + 0.25 + 0.25) / 3, abs=1e-6)
    spec = targets(torch.tensor([4.1, 4.2, 5.0]), 1.0, 5.0)
    assert MultipleNegativesRanking().usable(spec).tolist() == [False, True, True]
