"""Merges, mixtures and schedules on numbers worked out by hand."""

import pytest
import torch

from minbert.gradients import PCGrad, Sum
from minbert.mixtures import Ahead, Proportional, RoundRobin, Sequential
from minbert.optimizer import Constant, Cosine, Linear


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_pcgrad_on_two_vectors() -> None:
    # g1 = (1, 0), g2 = (-1, 1): g1.g2 = -1. g1' = g1 + g2/2 = (.5, .5); g2' = g2 + g1 = (0, 1). Sum (.5, 1.5).
    rows = torch.tensor([[1.0, 0.0], [-1.0, 1.0]])
    weights, _ = PCGrad()(rows @ rows.T, {}, rng(), range(2))
    assert torch.allclose(weights, torch.tensor([2.0, 1.5]))
    assert torch.allclose(weights @ rows, torch.tensor([0.5, 1.5]))


def test_the_denominator_of_the_report_leaves_the_conflict() -> None:
    rows = torch.tensor([[2.0, 0.0], [-1.0, 1.0]])
    first, second = rows
    wrong = first - (first @ second) / (first @ first) * second
    right = first - (first @ second) / (second @ second) * second
    assert float(wrong @ second) < 0 and float(right @ second) == pytest.approx(0.0, abs=1e-6)


def test_sum_is_ones() -> None:
    assert Sum()(-torch.eye(3), {}, rng(), range(3))[0].tolist() == [1, 1, 1]


def ahead(*batches: int) -> Ahead:
    return Ahead("abcdef"[: len(batches)], [32 * count for count in batches], batches)


def test_orders() -> None:
    assert Sequential()(ahead(2, 1, 3), {}, rng()) == [0, 0, 1, 2, 2, 2]
    assert RoundRobin()(ahead(2, 1, 3), {}, rng()) == [0, 1, 2, 0, 2, 2]
    assert sorted(Proportional()(ahead(2, 1, 3), {}, rng())) == [0, 0, 1, 2, 2, 2]


def test_schedules() -> None:
    assert [Constant()(step, 4) for step in range(4)] == [1, 1, 1, 1]
    assert [Linear(warmup=0.5)(step, 4) for step in range(4)] == [0.5, 1.0, 1.0, 0.5]
    assert [round(Cosine(warmup=0)(step, 4), 4) for step in range(4)] == [1.0, 0.8536, 0.5, 0.1464]
