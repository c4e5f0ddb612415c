"""What every merge must do, and that merging on the Gram matrix is merging the gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from minbert.gradients import AnyMerge, GradVac, Mean, Merge, PCGrad, Sum, TaskGradients, UPGrad

MERGES = [member() for member in AnyMerge.__metadata__[0].members.values()]  # type: ignore[attr-defined]


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("merge", [Sum(), PCGrad(), GradVac(), Mean(), UPGrad()], ids=lambda merge: merge.kind)
@settings(deadline=None, max_examples=25)
@given(tasks=st.integers(1, 6), seed=st.integers(0, 99))
def test_without_conflict_the_plain_sum_or_mean(merge: Merge, tasks: int, seed: int) -> None:
    rows = torch.rand(tasks, 8, generator=rng(seed))
    weights, _ = merge(rows @ rows.T, merge.start(tasks), rng(seed), range(tasks))
    expected = rows.mean(0) if merge.kind in ("mean", "upgrad") else rows.sum(0)
    assert torch.allclose(weights @ rows, expected, atol=1e-5)


@pytest.mark.parametrize("merge", MERGES, ids=lambda merge: merge.kind)
@settings(deadline=None, max_examples=25)
@given(tasks=st.integers(1, 6), seed=st.integers(0, 99))
def test_the_same_generator_gives_the_same_weights(merge: Merge, tasks: int, seed: int) -> None:
    rows = torch.randn(tasks, 4, generator=rng(seed))
    first, second = (merge(rows @ rows.T, merge.start(tasks), rng(seed), range(tasks))[0] for _ in range(2))
    assert torch.equal(first, second)


@given(seed=st.integers(0, 999))
def test_two_projected_gradients_do_not_conflict(seed: int) -> None:
    rows = torch.randn(2, 5, generator=rng(seed), dtype=torch.float64).float()
    first, second = rows
    weights, _ = PCGrad()(rows @ rows.T, {}, rng(), range(2))
    expected = torch.zeros(5)
    for mine, other in ((first, second), (second, first)):
        dot = float(mine @ other)
        expected += mine - min(dot, 0.0) / float(other @ other) * other
    assert torch.allclose(weights @ rows, expected, atol=1e-4)
    assert float((weights @ rows) @ first) > -1e-3 and float((weights @ rows) @ second) > -1e-3


def test_rows_are_merged_on_the_shared_weights_and_unused_ones_stay_without() -> None:
    shared = [nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(3)), nn.Parameter(torch.zeros(1))]
    gradients = TaskGradients(shared)
    shared[0].grad = torch.tensor([1.0, 0.0])
    gradients.take()
    assert all(parameter.grad is None for parameter in shared)
    shared[0].grad, shared[1].grad = torch.tensor([-1.0, 1.0]), torch.ones(3)
    gradients.take()
    assert torch.equal(gradients.gram(), torch.tensor([[1.0, -1.0], [-1.0, 5.0]]))
    gradients.put(torch.tensor([2.0, 0.5]))
    assert shared[0].grad is not None and shared[0].grad.tolist() == [1.5, 0.5]
    assert shared[1].grad is not None and shared[1].grad.tolist() == [0.5, 0.5, 0.5]
    assert shared[2].grad is None
