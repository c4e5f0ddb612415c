"""PCGrad's exact mean over all orders against the mean of torchjd's draws."""

from itertools import permutations, product

import pytest
import torch
from torch import Tensor
from torchjd.aggregation import PCGradWeighting

from minbert.gradients import PCGrad

DRAWS = 800


def exact_mean(gram: Tensor, monkeypatch: pytest.MonkeyPatch) -> Tensor:
    """The mean over every order: the tasks' orders are independent, so one order for all at a time is enough."""
    tasks = len(gram)
    found = []
    for order in permutations(range(tasks)):
        with monkeypatch.context() as patch:
            patch.setattr(torch, "randperm", lambda count, generator, order=order: torch.tensor(order))
            found.append(PCGrad()(gram, {}, torch.Generator(), range(len(gram)))[0])
    return torch.stack(found).mean(0)


@pytest.mark.parametrize(("tasks", "seed"), [(3, 0), (3, 4), (4, 1), (4, 2)])
def test_the_exact_mean_is_that_of_their_draws(tasks: int, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = torch.randn(tasks, 3, generator=torch.Generator().manual_seed(seed))
    gram = rows @ rows.T
    expected = exact_mean(gram, monkeypatch)
    torch.manual_seed(0)
    theirs = torch.stack([PCGradWeighting()(gram) for _ in range(DRAWS)])
    noise = theirs.std(0) / DRAWS**0.5
    assert torch.all((theirs.mean(0) - expected).abs() <= 4 * noise + 1e-5)


def test_one_order_for_all_has_the_mean_of_independent_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = torch.tensor([[2.0, 0.0], [-1.0, 1.0], [-1.0, -2.0]])
    gram = rows @ rows.T
    found = []
    for orders in product(permutations(range(3)), repeat=3):
        drawn = iter(map(torch.tensor, orders))
        with monkeypatch.context() as patch:
            patch.setattr(torch, "randperm", lambda count, generator, drawn=drawn: next(drawn))
            found.append(PCGrad()(gram, {}, torch.Generator(), range(len(gram)))[0])
    assert torch.allclose(torch.stack(found).mean(0), exact_mean(gram, monkeypatch), atol=1e-5)
    assert exact_mean(gram, monkeypatch).tolist() == pytest.approx([2.175, 2.85, 1.8], abs=1e-5)
