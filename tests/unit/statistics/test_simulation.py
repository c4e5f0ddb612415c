"""Arms that differ by nothing: how often they are called a gain or a loss."""

import math

import numpy as np
import pytest

from minbert.statistics import ALPHA, Differences, bootstrap_interval, holm, paired_t, row_counts, two_way

Found = list[Differences]
# What varies: between seeds, between rows (an arm's own way with a row, the same for all seeds), between both.
NOISE = {
    "rows and seeds": {"seeds": 0.0, "own": 0.0, "both": 1.0},
    "seeds": {"seeds": 0.3, "own": 0.0, "both": 0.3},
    "rows": {"seeds": 0.0, "own": 1.0, "both": 0.2},
    "all": {"seeds": 0.1, "own": 0.7, "both": 0.5},
}
ROWS, DRAWS = 200, 200


def answers(
    rng: np.random.Generator, seeds: int, noise: dict[str, float], base: np.ndarray, shift: float
) -> np.ndarray:
    """Which rows the seeds of one arm have right, (rows, seeds)."""
    easy = base + rng.normal(0, noise["own"], ROWS) + shift
    level = easy[:, None] + rng.normal(0, noise["seeds"], seeds) + rng.normal(0, noise["both"], (ROWS, seeds))
    return (level > 0).astype(float)


def experiment(
    rng: np.random.Generator, seeds: int, arms: int, noise: dict[str, float], shift: float = 0.0, nested: bool = False
) -> Found:
    """Each arm less the control; nested: every seed has rows of its own."""
    columns: list[list[np.ndarray]] = [[] for _ in range(arms + 1)]
    drawings: list[list[np.ndarray]] = [[] for _ in range(arms + 1)]
    for count in [1] * seeds if nested else [seeds]:
        base = rng.normal(size=ROWS)
        counts = np.concatenate(list(row_counts(ROWS, DRAWS, rng)))
        for arm in range(arms + 1):
            right = answers(rng, count, noise, base, shift if arm else 0.0)
            columns[arm].append(right.mean(axis=0))
            drawings[arm].append(counts @ right / ROWS)
    means = [np.concatenate(column) for column in columns]
    drawn = [np.concatenate(drawing, axis=1) for drawing in drawings]
    return [Differences(means[i] - means[0], (drawn[i] - drawn[0])[None], (ROWS,)) for i in range(1, arms + 1)]


def called(found: Found) -> tuple[bool, bool]:
    """Whether any arm is called a gain, and whether any is called anything."""
    estimates = [two_way(one) for one in found]
    ps = holm([estimate.p for estimate in estimates])
    gains = [p < ALPHA and estimate.difference > 0 for p, estimate in zip(ps, estimates, strict=True)]
    return any(gains), min(ps) < ALPHA


def share(times: int, **design: object) -> np.ndarray:
    """The shares of experiments with a gain, and with a gain or a loss."""
    rng = np.random.default_rng(0)
    return np.mean([called(experiment(rng, **design)) for _ in range(times)], axis=0)  # type: ignore[arg-type]


def most(rate: float, times: int) -> float:
    """What a share of `rate` does not exceed, but once in a thousand times."""
    return rate + 3.1 * math.sqrt(rate * (1 - rate) / times)


@pytest.mark.parametrize("noise", list(NOISE))
def test_of_nothing_at_most_one_in_twenty_is_called_a_gain(noise: str) -> None:
    gains, _ = share(200, seeds=3, arms=1, noise=NOISE[noise])
    assert gains <= 0.05


@pytest.mark.slow
@pytest.mark.parametrize(("arms", "nested"), [(1, False), (4, False), (1, True)])
@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("noise", list(NOISE))
def test_of_nothing_few_are_called_anything(noise: str, seeds: int, arms: int, nested: bool) -> None:
    gains, any_ = share(1000, seeds=seeds, arms=arms, noise=NOISE[noise], nested=nested)
    assert gains <= 0.05 and any_ <= most(0.06, 1000)


def test_one_seed_is_held_to_the_rows_alone() -> None:
    _, rows = share(300, seeds=1, arms=1, noise=NOISE["rows"])
    _, seeds = share(100, seeds=1, arms=1, noise=NOISE["seeds"])
    # What seeds do cannot be seen with one: that is why the sentence says so.
    assert rows <= most(0.06, 300) and seeds > 0.5


def test_neither_seeds_alone_nor_a_bootstrap_would_do() -> None:
    rng = np.random.default_rng(0)
    rows = [experiment(rng, 5, 1, NOISE["rows"])[0] for _ in range(100)]
    seeds = [experiment(rng, 3, 1, NOISE["seeds"])[0] for _ in range(100)]
    outside = [not low < 0 < high for low, high in (bootstrap_interval(one, rng) for one in seeds)]
    assert np.mean([paired_t(one.seeds).p < ALPHA for one in rows]) > 0.3 and np.mean(outside) > 0.1


def test_a_real_difference_is_found() -> None:
    gains, _ = share(50, seeds=5, arms=1, noise=NOISE["rows and seeds"], shift=0.5)
    assert gains > 0.9
