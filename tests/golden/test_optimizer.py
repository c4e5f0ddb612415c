"""AdamW against the reference array, and what the array cannot show."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from minbert.optimizer import AdamW, AdamWSpec


def test_equals_the_reference_after_a_thousand_steps() -> None:
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    model = nn.Linear(3, 2, bias=False)
    optimizer = AdamW(model.parameters(), lr=1e-3, weight_decay=1e-4)
    for _ in range(1000):
        optimizer.zero_grad()
        x = torch.FloatTensor(rng.uniform(size=[3]))
        target = torch.stack([x[0] + x[1], -x[2]])
        (target - model(x)).square().sum().backward()
        optimizer.step()
    reference = np.load(Path(__file__).with_name("optimizer_test.npy"))
    assert np.abs(model.weight.detach().numpy() - reference).max() <= 2e-7


def test_one_step_by_hand() -> None:
    # g = 2: m = .2, v = .004; a = .1 sqrt(.001) / .1; w = 1 - a .2 / (sqrt(.004) + 1e-6), then - .1 .5 w.
    weight = nn.Parameter(torch.tensor([1.0]))
    weight.grad = torch.tensor([2.0])
    AdamW([weight], lr=0.1, weight_decay=0.5).step()
    moved = 1 - 0.1 * 0.001**0.5 / 0.1 * 0.2 / (0.004**0.5 + 1e-6)
    assert abs(float(weight.detach()) - moved * 0.95) < 1e-6


def test_a_parameter_without_a_gradient_does_not_move_and_its_count_stands_still() -> None:
    used, idle = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
    optimizer = AdamW([used, idle], lr=0.1, weight_decay=0.1)
    for _ in range(3):
        used.grad, idle.grad = torch.ones(3), None
        optimizer.step()
    assert torch.equal(idle, torch.ones(3))
    assert optimizer.state[used]["step"] == 3 and not optimizer.state[idle]
    idle.grad = torch.ones(3)
    used.grad = None
    optimizer.step()
    fresh = nn.Parameter(torch.ones(3))
    fresh.grad = torch.ones(3)
    AdamW([fresh], lr=0.1, weight_decay=0.1).step()
    assert torch.equal(idle, fresh)


def test_biases_and_norms_do_not_decay_unless_asked() -> None:
    layer = nn.Linear(2, 2)
    for decay, expected in (("matrices", {0.3, 0.0}), ("all", {0.3})):
        optimizer = AdamWSpec(weight_decay=0.3, decay=decay).build([(0.1, list(layer.parameters()))])  # type: ignore[arg-type]
        assert {group["weight_decay"] for group in optimizer.param_groups} == expected


def test_a_moment_that_has_faded_becomes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    weights, least = [], torch.finfo(torch.float32).tiny
    for sweep in (16, 10**6):
        monkeypatch.setattr("minbert.optimizer.adamw.SWEEP", sweep)
        table = nn.Parameter(torch.linspace(0.1, 1, 70).view(10, 7))
        optimizer = AdamW([table], lr=1e-3)
        for step in range(1000):
            rows = torch.tensor([[0, 4 if step == 0 else 9]])
            table.grad = torch.sparse_coo_tensor(rows, torch.full((2, 7), 1e-3), (10, 7), check_invariants=True)
            optimizer.step()
        faded = optimizer.state[table]["m"][4]
        assert (faded == 0).all() if sweep == 16 else ((faded > 0) & (faded < least)).all()
        weights.append(table.detach())
    assert torch.equal(*weights)
