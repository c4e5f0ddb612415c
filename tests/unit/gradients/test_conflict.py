"""Norms and cosines by layer group, on gradients small enough to work out."""

import pytest
import torch

from minbert.gradients import TaskGradients, cosines, group_grams


def rows() -> list[list[torch.Tensor | None]]:
    """Two tasks, three parameters: the second is used by the first task alone, the third is sparse."""
    values = ([0, 2], [[1.0, 0.0], [0.0, 2.0]]), ([1, 2], [[5.0, 5.0], [1.0, -3.0]])
    sparse = [
        torch.sparse_coo_tensor([places], torch.tensor(found), (4, 2), check_invariants=True).coalesce()
        for places, found in values
    ]
    return [[torch.tensor([1.0, 2.0]), torch.tensor([3.0]), sparse[0]], [torch.tensor([-2.0, 0.5]), None, sparse[1]]]


def test_each_group_has_its_own_products() -> None:
    grams = group_grams(rows(), [[0], [1], [2]])
    assert grams.dtype == torch.float64
    assert grams.tolist() == [[[5, -1], [-1, 4.25]], [[9, 0], [0, 0]], [[5, -6], [-6, 60]]]


def test_the_groups_add_up_to_what_the_merge_sees() -> None:
    task_gradients = TaskGradients([])
    task_gradients.rows = rows()
    assert group_grams(rows(), [[0, 2], [1]]).sum(0).float().equal(task_gradients.gram())


def test_a_cosine_is_that_of_the_vectors_and_none_beside_a_zero() -> None:
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(3, 7, dtype=torch.float64, generator=generator)
    vectors[2] = 0
    first, *others = cosines(vectors @ vectors.T)
    assert first == pytest.approx(float(torch.cosine_similarity(vectors[0], vectors[1], dim=0)))
    assert others == [None, None]


def test_one_task_has_no_pairs() -> None:
    assert cosines(torch.ones(1, 1)) == []
