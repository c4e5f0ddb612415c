"""What every mixture must do."""

from collections import Counter
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minbert.mixtures import AnyMixture, Mixture, Proportional, RoundRobin

MIXTURES = [member() for member in AnyMixture.__metadata__[0].members.values()]  # type: ignore[attr-defined]


@pytest.mark.parametrize("mixture", MIXTURES, ids=lambda mixture: mixture.kind)
@given(batches=st.lists(st.integers(1, 30), min_size=1, max_size=5), seed=st.integers(0, 99))
def test_each_task_comes_as_often_as_it_has_batches(mixture: Mixture, batches: list[int], seed: int) -> None:
    order = mixture(batches, torch.Generator().manual_seed(seed))
    assert Counter(order) == Counter(dict(enumerate(batches)))
    assert order == mixture(batches, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("mixture", [m for m in MIXTURES if m.phased], ids=lambda mixture: mixture.kind)
def test_a_phased_mixture_never_comes_back_to_a_task(mixture: Mixture) -> None:
    order = mixture([3, 2, 4], torch.Generator().manual_seed(0))
    changes = sum(a != b for a, b in pairwise(order))
    assert changes == 2


@pytest.mark.parametrize("mixture", [m for m in MIXTURES if not m.phased], ids=lambda mixture: mixture.kind)
def test_a_mixture_that_is_not_phased_comes_back(mixture: Mixture) -> None:
    orders = [mixture([6, 6], torch.Generator().manual_seed(seed)) for seed in range(20)]
    assert all(sum(a != b for a, b in pairwise(order)) > 1 for order in orders)


def test_round_robin_passes_over_a_task_that_has_no_batches_left() -> None:
    assert RoundRobin()([3, 2, 4], torch.Generator()) == [0, 1, 2, 0, 1, 2, 0, 2, 2]


def test_every_order_is_as_likely_when_proportional() -> None:
    seeds = range(900)
    found = Counter(tuple(Proportional()([2, 1], torch.Generator().manual_seed(seed))) for seed in seeds)
    # 300 each, with a standard deviation of 14.
    assert set(found) == {(0, 0, 1), (0, 1, 0), (1, 0, 0)}
    assert all(abs(count - 300) < 60 for count in found.values())
