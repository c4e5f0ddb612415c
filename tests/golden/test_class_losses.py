"""Losses on classes and on yes/no that weigh rows, soften labels or know an order, on numbers worked out by hand."""

import math

import pytest
import torch

from minbert.losses import BinaryCrossEntropy, ClassBalanced, CrossEntropy, Focal, Loss, SquaredEarthMover, Targets
from minbert.outputs import Outputs

# Class 1 at 3/4, class 0 at 1/2; the same as yes at 3/4 and no at 1/2.
CLASSES, YES = torch.tensor([[0.0, math.log(3.0)], [0.0, 0.0]]), torch.tensor([[math.log(3.0)], [0.0]])
both = pytest.mark.parametrize("scores", [CLASSES, YES], ids=["classes", "yes_no"])


def targets(labels: list[int]) -> Targets:
    return Targets(torch.tensor(labels), 0.0, 1.0, torch.zeros(len(labels), 2, dtype=torch.long))


def loss(method: Loss, scores: torch.Tensor, labels: list[int]) -> float:
    return float(method(Outputs(scores), targets(labels)))


@both
def test_focal(scores: torch.Tensor) -> None:
    expected = (math.log(4 / 3) / 16 + math.log(2) / 4) / 2
    assert loss(Focal(), scores, [1, 0]) == pytest.approx(expected, abs=1e-6)
    plain = (math.log(4 / 3) + math.log(2)) / 2
    assert loss(Focal(gamma=0), scores, [1, 0]) == pytest.approx(plain, abs=1e-6)


@both
def test_class_balanced(scores: torch.Tensor) -> None:
    # beta 1/2: one row counts as 1, three rows as (1 - 1/8) / (1/2) = 7/4. Weights 1 and 4/7, with mean 1: 14/11, 8/11.
    method = ClassBalanced(beta=0.5).learned(targets([0, 1, 1, 1]))
    expected = (8 / 11 * math.log(4 / 3) + 14 / 11 * math.log(2)) / 2
    assert loss(method, scores, [1, 0]) == pytest.approx(expected, abs=1e-6)


def test_class_balanced_between_no_weights_and_inverse_counts() -> None:
    train = targets([0] * 6 + [2] * 2)
    for beta, expected in ((0.0, [1.0, 0.0, 1.0]), (1 - 1e-9, [0.5, 0.0, 1.5])):
        method = ClassBalanced(beta=beta).learned(train)
        assert isinstance(method, ClassBalanced) and method.counts == (6, 0, 2)
        assert method.weights.tolist() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("label", "expected"), [(0, 0.3125), (1, 0.25 + 0.0625), (2, 0.25 + 0.5625)])
def test_squared_earth_mover(label: int, expected: float) -> None:
    # Probabilities 1/2, 1/4, 1/4: together 1/2, 3/4, 1 against 1 1 1, 0 1 1 or 0 0 1.
    scores = torch.tensor([[math.log(2.0), 0.0, 0.0]])
    assert loss(SquaredEarthMover(), scores, [label]) == pytest.approx(expected, abs=1e-6)


def test_a_near_miss_costs_less_than_a_far_one() -> None:
    sure = torch.tensor([[0.0, 9.0, 0.0]]), torch.tensor([[0.0, 0.0, 9.0]])
    near, far = (loss(SquaredEarthMover(), scores, [0]) for scores in sure)
    assert near < 1.01 < 1.9 < far
    assert loss(CrossEntropy(), sure[0], [0]) == loss(CrossEntropy(), sure[1], [0])


def test_smoothed_binary_cross_entropy() -> None:
    # Smoothing .2: .9 on the label, .1 on the other.
    expected = (0.9 * math.log(4 / 3) + 0.1 * math.log(4) + math.log(2)) / 2
    assert loss(BinaryCrossEntropy(smoothing=0.2), YES, [1, 0]) == pytest.approx(expected, abs=1e-6)
