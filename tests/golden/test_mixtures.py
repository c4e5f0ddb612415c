"""How often tasks come, worked out by hand: three tasks of 100, 400 and 2,500 rows, and 100 batches an epoch."""

from typing import Any

import pytest
import torch

from minbert.mixtures import Ahead, Annealed, Fixed, Mixture, Progress, Proportional, SquareRoot, Temperature
from minbert.mixtures.shares import apportioned

ROWS, BATCHES = [100, 400, 2500], [3, 13, 84]


def counts(mixture: Mixture, epoch: int = 0, epochs: int = 1, state: dict[str, Any] | None = None) -> list[int]:
    return mixture.counts(Ahead(["sst", "sts", "quora"], ROWS, BATCHES, epoch, epochs), state or {})


# By size 1 : 4 : 25, their roots 1 : 2 : 5.
TABLE: list[tuple[Mixture, list[int]]] = [
    (Proportional(), BATCHES),
    (SquareRoot(), [13, 25, 62]),  # 12.5, 25 and 62.5: of equal remainders the first wins
    (Temperature(temperature=1), [3, 13, 84]),  # 3.3, 13.3 and 83.3: the remainders are equal
    (Temperature(temperature=2), [13, 25, 62]),
    (Temperature(temperature=1e9), [34, 33, 33]),
    (Annealed(final=1), [3, 13, 84]),
    (Fixed(), [34, 33, 33]),
    (Fixed(shares={"quora": 3, "sst": 1}), [20, 20, 60]),  # sts is not named and has 1
    (Fixed(shares={"quora": 1e6}), [1, 1, 98]),
    (Progress(), [3, 13, 84]),  # before the first scores by size
]


@pytest.mark.parametrize(("mixture", "expected"), TABLE, ids=[repr(mixture) for mixture, _ in TABLE])
def test_counts(mixture: Mixture, expected: list[int]) -> None:
    found = counts(mixture)
    assert sum(found) == 100 and all(abs(a - b) <= 1 for a, b in zip(found, expected, strict=True))


def test_annealed_goes_from_size_to_nearly_alike() -> None:
    # In the last of 1,000 epochs alpha is .2: 1 : 4^.2 : 25^.2 = 1 : 1.3195 : 1.9037, of 4.2232.
    assert counts(Annealed(), 0, 1000) == pytest.approx([3, 13, 83], abs=1)
    assert counts(Annealed(), 999, 1000) == [24, 31, 45]
    by_epoch = [counts(Annealed(), epoch, 4) for epoch in range(4)]
    assert [few[0] for few in by_epoch] == sorted(few[0] for few in by_epoch)
    assert [few[2] for few in by_epoch] == sorted((few[2] for few in by_epoch), reverse=True)


def test_progress_goes_by_the_distance_to_what_can_be_reached() -> None:
    mixture, tasks = Progress(reach={"sst": 0.5, "sts": 0.9, "quora": 0.9}), ["sst", "sts", "quora"]
    # Distances .1, .05 (to .85) and .25 of .4.
    state = mixture.after_epoch(tasks, mixture.start(), {"sst": 0.4, "sts": 0.85, "quora": 0.65, "other": 0.0})
    assert counts(mixture, 1, 3, state) == pytest.approx([25, 12.5, 62.5], abs=0.6)
    # Beyond its reach a task keeps the least distance: .01, .05, .04 of .1.
    state = mixture.after_epoch(tasks, state, {"sst": 0.6, "sts": 0.85, "quora": 0.86})
    assert counts(mixture, 2, 3, state) == [10, 50, 40]
    # What is not named reaches 1, what is not scored stands at 0: distances .5, 1, .5.
    state = Progress().after_epoch(tasks, {}, {"sst": 0.5, "quora": 0.5})
    assert counts(Progress(), 1, 3, state) == [25, 50, 25]


@pytest.mark.parametrize(
    ("expected", "total", "found"),
    [
        ([2.0, 1.0, 3.0], 6, [2, 1, 3]),
        ([2.999999999, 1.000000001, 2.0], 6, [3, 1, 2]),
        ([0.2, 0.2, 5.6], 6, [1, 1, 4]),
        ([0.7, 0.6, 0.6, 2.1], 4, [1, 1, 1, 1]),
        ([1.5, 1.5, 1.0], 4, [2, 1, 1]),
    ],
)
def test_apportioned(expected: list[float], total: int, found: list[int]) -> None:
    assert apportioned(torch.tensor(expected, dtype=torch.float64), total) == found
