"""Losses that couple the rows of a batch, on numbers worked out by hand."""

import math

import pytest
import torch
from torch import Tensor

from minbert.losses import AnglE, CoSENT, Loss, Pearson, Targets
from minbert.outputs import Outputs

# Cosines 1, 0 and .6; lengths do not count.
LEFT = torch.tensor([[2.0, 0.0], [0.0, 5.0], [1.0, 0.0]])
RIGHT = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.6, 0.8]])


def loss(method: Loss, left: Tensor, right: Tensor, labels: list[float]) -> float:
    targets = Targets(torch.tensor(labels), 0.0, 5.0, torch.arange(2 * len(labels)).reshape(-1, 2))
    return float(method(Outputs(torch.zeros(len(labels), 1), (left, right)), targets))


def test_cosent_counts_pairs_of_rows_in_the_order_of_their_labels() -> None:
    # At scale 2: the first row should be below the two others, by cosine it is 1 and .4 above.
    expected = math.log(1 + math.exp(2.0) + math.exp(0.8))
    assert loss(CoSENT(scale=2), LEFT, RIGHT, [0, 1, 1]) == pytest.approx(expected, abs=1e-6)
    # All three pairs count and stand as they should: the first over the third over the second.
    expected = math.log(1 + math.exp(-2.0) + math.exp(-0.8) + math.exp(-1.2))
    assert loss(CoSENT(scale=2), LEFT, RIGHT, [5, 0, 3]) == pytest.approx(expected, abs=1e-6)


def test_angle_adds_the_sine() -> None:
    # Two numbers are one complex number each: 1 with 1; 1 with .6 + .8i, whose quotient is .6 - .8i; the other way
    # round it is .6 + .8i. Real and imaginary part together: 1, |-.2| and 1.4.
    left, right = torch.tensor([[2.0, 0.0], [1.0, 0.0], [0.6, 0.8]]), torch.tensor([[1.0, 0.0], [0.6, 0.8], [3.0, 0.0]])
    expected = math.log(1 + math.exp(2 * (1 - 0.2)) + math.exp(2 * (1.4 - 0.2)))
    assert loss(AnglE(scale=2), left, right, [0, 5, 0]) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("method", [CoSENT(), AnglE()], ids=lambda method: method.kind)
def test_without_an_order_there_is_nothing_to_learn(method: Loss) -> None:
    assert loss(method, LEFT, RIGHT, [4, 4, 4]) == loss(method, LEFT[:1], RIGHT[:1], [1]) == 0


def test_pearson() -> None:
    # Deviations -1, 0, 1 and -1, 1, 0: r = 1 / 2. Turned round it is -1/2; scale and place do not count.
    labels = Targets(torch.tensor([1.0, 3.0, 2.0]), 0.0, 5.0, torch.zeros(3, 2, dtype=torch.long))
    for scores, expected in (([1.0, 2.0, 3.0], 0.5), ([9.0, 8.0, 7.0], 1.5), ([0.1, 0.2, 0.3], 0.5)):
        found = Pearson()(Outputs(torch.tensor(scores)[:, None]), labels)
        assert float(found) == pytest.approx(expected, abs=1e-6)


def test_pearson_of_a_single_row_is_1_and_moves_nothing() -> None:
    scores = torch.tensor([[0.3]], requires_grad=True)
    found = Pearson()(Outputs(scores), Targets(torch.tensor([4.0]), 0.0, 5.0, torch.zeros(1, 2, dtype=torch.long)))
    found.backward()
    assert float(found.detach()) == 1 and scores.grad is not None and not scores.grad.any()
