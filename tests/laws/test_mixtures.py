"""What every mixture must do."""

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minbert.mixtures import Ahead, Annealed, AnyMixture, Fixed, Mixture, Progress, Proportional, RoundRobin, Sequential

MIXTURES = [member() for member in AnyMixture.__metadata__[0].members.values()]  # type: ignore[attr-defined]
MIXTURES += [Fixed(shares={"a": 5, "c": 0.2}), Annealed(final=0)]
GIVEN = [Sequential(), RoundRobin(), Proportional()]
mixtures = pytest.mark.parametrize("mixture", MIXTURES, ids=repr)
sizes = st.lists(st.integers(1, 2000), min_size=1, max_size=5)


def ahead(rows: list[int], epoch: int = 0, epochs: int = 1, batch: int = 32) -> Ahead:
    return Ahead("abcdef"[: len(rows)], rows, [-(-count // batch) for count in rows], epoch, epochs)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def states(mixture: Mixture, tasks: int) -> list[dict[str, Any]]:
    """Its state at the start, and after an epoch."""
    names, start = "abcdef"[:tasks], mixture.start()
    return [start, mixture.after_epoch(names, start, {name: 0.3 + 0.1 * i for i, name in enumerate(names)})]


@mixtures
@settings(max_examples=40, deadline=None)
@given(rows=sizes, seed=st.integers(0, 99), epoch=st.integers(0, 2))
def test_an_epoch_has_the_promised_batches_and_every_task_and_is_the_same_again(
    mixture: Mixture, rows: list[int], seed: int, epoch: int
) -> None:
    coming = ahead(rows, epoch, 3)
    for state in states(mixture, len(rows)):
        order = mixture(coming, state, rng(seed))
        assert len(order) == coming.total == sum(coming.batches)
        assert Counter(order) == Counter(dict(enumerate(mixture.counts(coming, state))))
        assert set(order) == set(range(len(rows)))
        assert order == mixture(coming, state, rng(seed))


@pytest.mark.parametrize("mixture", GIVEN, ids=lambda mixture: mixture.kind)
@settings(max_examples=40, deadline=None)
@given(rows=sizes)
def test_where_no_share_is_chosen_each_task_comes_as_often_as_it_has_batches(mixture: Mixture, rows: list[int]) -> None:
    assert mixture.counts(ahead(rows), {}) == list(ahead(rows).batches)


@mixtures
@settings(max_examples=40, deadline=None)
@given(rows=sizes, epoch=st.integers(0, 2))
def test_counts_are_the_shares_as_near_as_whole_numbers_can_be(mixture: Mixture, rows: list[int], epoch: int) -> None:
    coming = ahead(rows, epoch, 3)
    for state in states(mixture, len(rows)):
        shares = mixture.frequencies(coming, state).double().expand(coming.total, len(rows))
        expected = (shares / shares.sum(1, keepdim=True)).sum(0).tolist()
        # Tasks that are raised to one batch take at most one each from the others.
        raised = sum(share < 1 for share in expected)
        for count, share in zip(mixture.counts(coming, state), expected, strict=True):
            assert count == 1 > share or share - 1 - raised < count < share + 1 + 1e-6


@pytest.mark.parametrize("mixture", [m for m in MIXTURES if not m.phased and m != RoundRobin()], ids=repr)
def test_at_each_place_tasks_come_as_often_as_their_share_there(mixture: Mixture) -> None:
    coming, runs = ahead([320, 640, 2560]), 200
    shares = mixture.frequencies(coming, mixture.start()).double().expand(coming.total, 3)
    expected = shares / shares.sum(1, keepdim=True)
    found = torch.zeros_like(expected)
    for seed in range(runs):
        order = torch.tensor(mixture(coming, mixture.start(), rng(seed)))
        found += torch.nn.functional.one_hot(order, 3) / runs
    # Ten places together: a standard error of .011 at most, and what rounding to whole batches takes.
    for part, share in zip(found.split(10), expected.split(10), strict=True):
        assert torch.allclose(part.mean(0), share.mean(0), atol=4 * 0.011 + 1 / coming.total)


@pytest.mark.parametrize("mixture", [m for m in MIXTURES if m.phased], ids=repr)
def test_a_phased_mixture_never_comes_back_to_a_task(mixture: Mixture) -> None:
    order = mixture(ahead([96, 64, 128]), mixture.start(), rng())
    changes = sum(a != b for a, b in pairwise(order))
    assert changes == 2


@pytest.mark.parametrize("mixture", [m for m in MIXTURES if not m.phased], ids=repr)
def test_a_mixture_that_is_not_phased_comes_back(mixture: Mixture) -> None:
    orders = [mixture(ahead([960, 960]), mixture.start(), rng(seed)) for seed in range(20)]
    assert all(sum(a != b for a, b in pairwise(order)) > 1 for order in orders)


@pytest.mark.parametrize("mixture", [m for m in MIXTURES if m not in (RoundRobin(), Sequential())], ids=repr)
def test_the_seed_decides_the_order(mixture: Mixture) -> None:
    coming = ahead([640, 320])
    assert len({tuple(mixture(coming, mixture.start(), rng(seed))) for seed in range(8)}) == 8


@mixtures
def test_only_an_adaptive_mixture_goes_by_scores(mixture: Mixture) -> None:
    low, high = ({"a": score, "b": 0.5} for score in (0.1, 0.9))
    coming, start = ahead([640, 640], 1, 3), mixture.start()
    counts = [mixture.counts(coming, mixture.after_epoch("ab", start, scores)) for scores in (low, high)]
    assert (counts[0] != counts[1]) == mixture.adaptive == isinstance(mixture, Progress)
