"""Metrics on numbers worked out by hand."""

import numpy as np
import pytest

from minbert.metrics import METRICS, norm_mean, raw_mean

# Of class 1: 2 found, 1 false, 1 missed, so precision = recall = F1 = 2/3. Of class 0: 1, 1, 1, so 1/2.
TWO = ([1, 1, 1, 0, 0], [1, 0, 1, 1, 0])
# Deviations -1.5 -.5 .5 1.5 and -1.5 .5 -.5 1.5: products 2.25 - .25 - .25 + 2.25 = 4, squares 5 and 5.
SWAPPED = ([1.0, 2.0, 3.0, 4.0], [1.0, 3.0, 2.0, 4.0])
# Ranks 1.5 1.5 3 and 1 2 3: products .5 + 0 + 1 = 1.5, squares 1.5 and 2.
TIED = ([5.0, 5.0, 9.0], [1.0, 10.0, 100.0])
# Class 2 occurs nowhere but in the answers: F1 of 0, 1, 2 is 2/3, 1, 0.
THREE = ([0, 0, 1], [0, 2, 1])

TABLE = [
    ("accuracy", TWO, 3 / 5),
    ("f1", TWO, 2 / 3),
    ("macro_f1", TWO, (2 / 3 + 1 / 2) / 2),
    ("macro_f1", THREE, (2 / 3 + 1 + 0) / 3),
    ("f1", ([0, 0], [0, 0]), 0.0),
    ("pearson", SWAPPED, 4 / 5),
    ("spearman", ([1.0, 2.0, 3.0, 4.0], [1.0, 8.0, 4.0, 64.0]), 4 / 5),
    ("spearman", TIED, 1.5 / 3**0.5),
    ("pearson", ([1.0, 2.0], [7.0, 7.0]), 0.0),
]


@pytest.mark.parametrize(("name", "given", "score"), TABLE)
def test_score(name: str, given: tuple[list[float], list[float]], score: float) -> None:
    assert METRICS[name](*map(np.array, given)) == pytest.approx(score, abs=1e-12)  # type: ignore[index]


def test_every_metric_is_in_the_table() -> None:
    assert {name for name, _, _ in TABLE} == set(METRICS)


def test_means() -> None:
    scores = {"sentiment": 0.5, "paraphrase": 0.8, "similarity": 0.6}
    assert raw_mean(scores) == pytest.approx(1.9 / 3)
    assert norm_mean(scores, {"similarity"}) == pytest.approx((0.5 + 0.8 + 0.8) / 3)
