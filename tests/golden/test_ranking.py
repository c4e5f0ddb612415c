"""Multiple negatives ranking on two and three pairs, worked out by hand."""

import math

import pytest
import torch

from minbert.losses import MultipleNegativesRanking, Targets
from minbert.outputs import Outputs

# cos(a1, b1) = 1, cos(a1, b2) = 0, cos(a2, b1) = .6, cos(a2, b2) = .8; lengths do not count.
LEFT, RIGHT = torch.tensor([[2.0, 0.0], [0.6, 0.8]]), torch.tensor([[1.0, 0.0], [0.0, 3.0]])
# At scale 2, row by row: log(1 + e^(0 - 2)) and log(1 + e^(1.2 - 1.6)).
THERE = (math.log(1 + math.exp(-2.0)) + math.log(1 + math.exp(-0.4))) / 2
# Column by column: log(1 + e^(1.2 - 2)) and log(1 + e^(0 - 1.6)).
BACK = (math.log(1 + math.exp(-0.8)) + math.log(1 + math.exp(-1.6))) / 2


def loss(hashes: list[list[int]], labels: list[int] | None = None, symmetric: bool = False) -> float:
    outputs = Outputs(torch.zeros(2, 1), (LEFT, RIGHT))
    targets = Targets(torch.tensor(labels or [1, 1]), 0.0, 1.0, torch.tensor(hashes))
    return float(MultipleNegativesRanking(scale=2.0, symmetric=symmetric)(outputs, targets))


def test_one_direction_and_both() -> None:
    assert loss([[0, 1], [2, 3]]) == pytest.approx(THERE, abs=1e-6)
    assert loss([[0, 1], [2, 3]], symmetric=True) == pytest.approx((THERE + BACK) / 2, abs=1e-6)


@pytest.mark.parametrize("hashes", [[[0, 1], [2, 1]], [[0, 1], [0, 3]]], ids=["same second", "same first"])
def test_without_its_only_negative_a_pair_costs_nothing(hashes: list[list[int]]) -> None:
    assert loss(hashes) == pytest.approx(0.0, abs=1e-6)
    assert loss(hashes, symmetric=True) == pytest.approx(0.0, abs=1e-6)


def test_a_partner_that_is_the_text_itself_is_masked_where_it_is() -> None:
    # b2 is a1: row 1 has no negative left; row 2 keeps b1.
    assert loss([[0, 1], [2, 0]]) == pytest.approx(math.log(1 + math.exp(-0.4)) / 2, abs=1e-6)


def test_a_negative_pair_takes_no_part() -> None:
    assert loss([[0, 1], [2, 3]], labels=[1, 0]) == pytest.approx(0.0, abs=1e-6)
