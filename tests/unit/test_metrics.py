"""Metrics at the edges, and laws that they keep."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from minbert.metrics import METRICS, norm_mean, raw_mean

CORRELATIONS = ("pearson", "spearman")
OF_CLASSES = ("accuracy", "f1", "macro_f1")
yes_or_no = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=20)
seeds = st.integers(0, 999)


def numbers(seed: int, rows: int = 20) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=rows)


@pytest.mark.parametrize("name", OF_CLASSES)
@settings(deadline=None, max_examples=30)
@given(rows=yes_or_no)
def test_of_classes_lie_between_0_and_1_and_are_python_numbers(name: str, rows: list[tuple[bool, bool]]) -> None:
    truth, predicted = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    score = METRICS[name](truth, predicted)  # type: ignore[index]
    assert type(score) is float and 0 <= score <= 1
    right = METRICS[name](truth, truth)  # type: ignore[index]
    assert right == (1.0 if name != "f1" or truth.any() else 0.0)


@pytest.mark.parametrize("name", CORRELATIONS)
@settings(deadline=None, max_examples=30)
@given(seed=seeds, scale=st.floats(0.01, 100), shift=st.floats(-100, 100))
def test_a_correlation_does_not_see_scale_and_turns_with_sign(name: str, seed: int, scale: float, shift: float) -> None:
    metric, x, y = METRICS[name], numbers(seed), numbers(seed + 1)  # type: ignore[index]
    score = metric(x, y)
    assert type(score) is float and -1 <= score <= 1
    assert metric(x, scale * y + shift) == pytest.approx(score, abs=1e-6) == metric(y, x)
    assert metric(x, -y) == pytest.approx(-score, abs=1e-9)
    assert metric(x, x) == pytest.approx(1.0)


@settings(deadline=None, max_examples=30)
@given(seed=seeds)
def test_ranks_alone_count_for_spearman(seed: int) -> None:
    x, y = numbers(seed), numbers(seed + 1)
    assert METRICS["spearman"](x, np.exp(3 * y)) == pytest.approx(METRICS["spearman"](x, y), abs=1e-12)


@pytest.mark.parametrize("name", CORRELATIONS)
@pytest.mark.parametrize(
    ("truth", "predicted"), [([1.0, 2.0], [3.0, 3.0]), ([2.0, 2.0], [1.0, 3.0]), ([1.0], [2.0]), ([], [])]
)
def test_a_constant_has_correlation_0(name: str, truth: list[float], predicted: list[float]) -> None:
    assert METRICS[name](np.array(truth), np.array(predicted)) == 0.0  # type: ignore[index]


@pytest.mark.parametrize("name", CORRELATIONS)
def test_an_answer_that_is_nearly_constant_still_has_a_number(name: str) -> None:
    truth, predicted = np.arange(5.0), 1 + 1e-15 * np.arange(5.0)
    assert -1 <= METRICS[name](truth, predicted) <= 1  # type: ignore[index]


def test_where_nothing_is_yes_f1_is_0() -> None:
    zeros = np.zeros(3, dtype=np.int64)
    assert METRICS["f1"](zeros, zeros) == 0.0 and METRICS["macro_f1"](zeros, zeros) == 1.0


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=3), st.floats(-1, 1), min_size=1, max_size=4))
def test_the_two_means_agree_without_correlations_and_norm_is_the_higher_with_them(scores: dict[str, float]) -> None:
    assert norm_mean(scores, set()) == pytest.approx(raw_mean(scores))
    assert norm_mean(scores, set(scores)) == pytest.approx((raw_mean(scores) + 1) / 2)
    assert norm_mean(scores, set(scores)) >= raw_mean(scores) - 1e-12
