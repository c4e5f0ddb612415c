"""That merging on the Gram matrix is merging the gradients; how merges answer to scale, to nothing, to conflict."""

from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from minbert.gradients import AnyMerge, Merge, PCGrad, TaskGradients

MERGES = [member() for member in AnyMerge.__metadata__[0].members.values()]  # type: ignore[attr-defined]
SHAPES = [(3, 2), (4,), (2, 2), (5,)]
seeds = st.integers(0, 999)
each_merge = pytest.mark.parametrize("merge", MERGES, ids=lambda merge: merge.kind)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def conflicting(tasks: int, seed: int) -> Tensor:
    return torch.randn(tasks, 4, generator=rng(seed))


@each_merge
@settings(deadline=None, max_examples=25)
@given(tasks=st.integers(1, 5), seed=seeds, size=st.sampled_from([0.01, 0.5, 30.0]))
def test_gradients_twice_as_long_make_an_update_twice_as_long(merge: Merge, tasks: int, seed: int, size: float) -> None:
    # More places than tasks: where gradients cancel out, rounding decides.
    rows = torch.randn(tasks, 8, generator=rng(seed))
    one, other = (merge(x @ x.T, merge.start(tasks), rng(seed), range(tasks))[0] @ x for x in (rows, size * rows))
    assert torch.allclose(size * one, other, rtol=1e-3, atol=1e-3 * size)


@each_merge
def test_a_task_alone_keeps_its_gradient(merge: Merge) -> None:
    weights, _ = merge(torch.tensor([[7.0]]), merge.start(1), rng(), [0])
    # A task alone gains most from a step that is as long as CAGrad allows.
    assert weights.tolist() == pytest.approx([1.4 if merge.kind == "cagrad" else 1.0], rel=1e-4)


@each_merge
def test_tasks_without_a_gradient_do_no_harm(merge: Merge) -> None:
    rows = torch.cat([conflicting(2, 0), torch.zeros(2, 4)])
    weights, _ = merge(rows @ rows.T, merge.start(4), rng(), range(4))
    assert torch.isfinite(weights).all()
    nothing = torch.zeros(3, 3)
    assert torch.isfinite(merge(nothing, merge.start(3), rng(), range(3))[0]).all()


def apart(rows: Tensor) -> tuple[Tensor, Tensor]:
    """The two projected gradients: what is over 1 in a weight is what the other task took up."""
    weights, _ = PCGrad()(rows @ rows.T, {}, rng(), range(2))
    return rows[0] + (weights[1] - 1) * rows[1], rows[1] + (weights[0] - 1) * rows[0]


@given(seed=seeds)
def test_each_of_two_projected_gradients_is_at_peace_with_the_other_task(seed: int) -> None:
    rows = conflicting(2, seed)
    first, second = apart(rows)
    assert float(first @ rows[1]) > -1e-4 * float(rows[1] @ rows[1])
    assert float(second @ rows[0]) > -1e-4 * float(rows[0] @ rows[0])


def test_with_the_denominator_of_the_report_one_of_them_is_not() -> None:
    rows = torch.tensor([[2.0, 0.0], [-1.0, 1.0]])
    dot = rows[0] @ rows[1]
    typo = rows[0] - dot / (rows[0] @ rows[0]) * rows[1]
    assert float(typo @ rows[1]) == pytest.approx(-1.0)
    assert float(apart(rows)[0] @ rows[1]) == pytest.approx(0.0, abs=1e-6)


def explicit(rows: Tensor, seed: int) -> Tensor:
    """Algorithm 1 of Yu et al. 2020 on the vectors themselves."""
    generator = rng(seed)
    total = torch.zeros(rows.shape[1], dtype=rows.dtype)
    for i in range(len(rows)):
        mine = rows[i].clone()
        for j in torch.randperm(len(rows), generator=generator).tolist():
            dot = mine @ rows[j]
            if j != i and dot < 0:
                mine -= dot / (rows[j] @ rows[j]) * rows[j]
        total += mine
    return total


@settings(deadline=None)
@given(
    tasks=st.integers(1, 4),
    seed=seeds,
    used=st.lists(st.booleans(), min_size=16, max_size=16),
    small=st.sampled_from((0, 10, 1 << 12)),
)
def test_what_is_put_is_the_explicit_projection_of_the_flat_gradients(
    tasks: int, seed: int, used: list[bool], small: int
) -> None:
    shared = [nn.Parameter(torch.zeros(shape)) for shape in SHAPES]
    gradients, generator, flat = TaskGradients(shared), rng(seed), []
    for task in range(tasks):
        for place, parameter in enumerate(shared):
            parameter.grad = torch.randn(parameter.shape, generator=generator) if used[4 * task + place] else None
        flat.append(torch.cat([torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten() for p in shared]))
        gradients.take()
    with patch("minbert.gradients.per_task.SMALL", small):
        weights, _ = PCGrad()(gradients.gram(), {}, rng(seed), range(tasks))
        gradients.put(weights)
    touched = [any(used[4 * task + place] for task in range(tasks)) for place in range(len(shared))]
    assert [parameter.grad is not None for parameter in shared] == touched
    found = torch.cat([torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten() for p in shared])
    assert torch.allclose(found, explicit(torch.stack(flat).double(), seed).float(), atol=1e-3)
    assert gradients.rows == []


def test_backward_passes_add_up_until_they_are_taken() -> None:
    weight = nn.Parameter(torch.tensor([1.0, 2.0]))
    gradients = TaskGradients([weight])
    for factor in (1.0, 10.0):
        (factor * weight).sum().backward()
    gradients.take()
    weight.square().sum().backward()
    gradients.take()
    gradients.put(torch.ones(2))
    assert weight.grad is not None and weight.grad.tolist() == [11.0 + 2.0, 11.0 + 4.0]
