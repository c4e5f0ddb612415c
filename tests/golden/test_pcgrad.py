"""PCGrad on three vectors, for given orders, worked out by hand.

g1 = (2, 0), g2 = (-1, 1), g3 = (-1, -2): g1.g2 = g1.g3 = -2, g2.g3 = -1; squares 4, 2, 5.
"""

import pytest
import torch

from minbert.gradients import PCGrad

ROWS = torch.tensor([[2.0, 0.0], [-1.0, 1.0], [-1.0, -2.0]])

# For each task the others in order, and what the gradients come to, as multiples of g1, g2, g3.
UP = {
    # (2, 0) + 2/2 g2 = (1, 1); with g3 -3, so + 3/5 g3 = (.4, -.2).
    0: ([1, 2], [1, 1, 0.6], [0.4, -0.2]),
    # (-1, 1) + 2/4 g1 = (0, 1); with g3 -2, so + 2/5 g3 = (-.4, .2).
    1: ([0, 2], [0.5, 1, 0.4], [-0.4, 0.2]),
    # (-1, -2) + 2/4 g1 = (0, -2); with g2 -2, so + 2/2 g2 = (-1, -1).
    2: ([0, 1], [0.5, 1, 1], [-1.0, -1.0]),
}
DOWN = {
    # (2, 0) + 2/5 g3 = (1.6, -.8); with g2 -2.4, so + 2.4/2 g2 = (.4, .4).
    0: ([2, 1], [1, 1.2, 0.4], [0.4, 0.4]),
    # (-1, 1) + 1/5 g3 = (-1.2, .6); with g1 -2.4, so + 2.4/4 g1 = (0, .6).
    1: ([2, 0], [0.6, 1, 0.2], [0.0, 0.6]),
    # (-1, -2) + 1/2 g2 = (-1.5, -1.5); with g1 -3, so + 3/4 g1 = (0, -1.5).
    2: ([1, 0], [0.75, 0.5, 1], [0.0, -1.5]),
}


@pytest.mark.parametrize(("orders", "weights"), [(UP, [2.0, 3.0, 2.0]), (DOWN, [2.35, 2.7, 1.6])], ids=["up", "down"])
def test_three_tasks_in_a_given_order(
    orders: dict[int, tuple[list[int], list[float], list[float]]],
    weights: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn = iter([torch.tensor([*others, task]) for task, (others, _, _) in orders.items()])
    monkeypatch.setattr(torch, "randperm", lambda tasks, generator: next(drawn))
    found, _ = PCGrad()(ROWS @ ROWS.T, {}, torch.Generator(), range(3))
    assert found.tolist() == pytest.approx(weights, abs=1e-6)
    assert found @ ROWS == pytest.approx(torch.tensor([vector for _, _, vector in orders.values()]).sum(0), abs=1e-5)
    assert torch.tensor([multiples for _, multiples, _ in orders.values()]).sum(0).tolist() == pytest.approx(weights)
