"""Calibration on numbers that can be worked out."""

import numpy as np
import pytest

from minbert.reporting.page.reliability import reliability_of, temperature_of


def test_the_error_is_the_weighted_distance_of_the_bins() -> None:
    # Four rows at .88, of which three are right; one at .62, wrong.
    logits = np.array([[0.0, 2.0]] * 4 + [[0.5, 0.0]])
    labels = np.array([1, 1, 1, 0, 1])
    found = reliability_of(logits, labels)
    high, low = 1 / (1 + np.exp(-2)), 1 / (1 + np.exp(-0.5))
    assert found.rows.tolist() == [1, 4] and found.accuracy.tolist() == [0, 0.75]
    assert found.confidence == pytest.approx([low, high])
    assert found.error == pytest.approx(0.8 * (high - 0.75) + 0.2 * low)


def test_a_temperature_makes_sure_scores_honest() -> None:
    rng = np.random.default_rng(0)
    honest = rng.normal(size=(4000, 3)) * 2
    odds = np.exp(honest) / np.exp(honest).sum(1, keepdims=True)
    labels = np.array([rng.choice(3, p=row) for row in odds])
    sure = honest * 2.5
    heat = temperature_of(sure, labels)
    assert heat == pytest.approx(2.5, rel=0.1)
    assert reliability_of(sure, labels, heat).error < 0.03 < reliability_of(sure, labels).error


def test_certainty_falls_into_the_last_bin() -> None:
    found = reliability_of(np.array([[1000.0, 0.0]]), np.array([0]))
    assert found.rows.tolist() == [1] and found.error == pytest.approx(0)
