"""Statistics against scipy, statsmodels and scikit-learn."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import bootstrap, ttest_rel
from sklearn.calibration import CalibratedClassifierCV, calibration_curve
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from statsmodels.api import OLS
from statsmodels.stats.contingency_tables import mcnemar as their_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import DescrStatsW

from minbert.metrics import METRICS
from minbert.statistics import (
    RESAMPLED,
    Differences,
    bootstrap_interval,
    equal_mass,
    equal_width,
    fit_platt,
    fit_temperature,
    holm,
    mcnemar,
    paired_t,
    probabilities,
    reliability,
    row_counts,
    smallest_difference,
    two_way,
)


@pytest.mark.parametrize("seeds", [2, 3, 5, 20])
def test_paired_t(seeds: int) -> None:
    rng = np.random.default_rng(seeds)
    control, arm = rng.normal(0.7, 0.01, seeds), rng.normal(0.71, 0.01, seeds)
    ours, theirs = paired_t(arm - control), ttest_rel(arm, control)
    assert ours.p == pytest.approx(theirs.pvalue) and ours.df == theirs.df
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs.confidence_interval()))
    assert (ours.low, ours.high) == pytest.approx(DescrStatsW(arm - control).tconfint_mean())


@pytest.mark.parametrize("seed", range(8))
def test_mcnemar(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.random(60) < 0.7, rng.random(60) < 0.6
    table = [[(first & second).sum(), (first & ~second).sum()], [(~first & second).sum(), (~first & ~second).sum()]]
    assert mcnemar(first, second) == pytest.approx(their_mcnemar(table, exact=True).pvalue)
    assert mcnemar(first, first) == 1


@pytest.mark.parametrize("seed", range(8))
def test_holm(seed: int) -> None:
    ps = np.random.default_rng(seed).random(seed + 1) ** 3
    assert holm(list(ps)) == pytest.approx(list(multipletests(ps, method="holm")[1]))


@pytest.mark.parametrize("alpha", [0.05, 0.05 / 7])
@pytest.mark.parametrize("seeds", [2, 3, 4, 5, 10, 50])
def test_smallest_difference(seeds: int, alpha: float) -> None:
    # Theirs is in standard deviations, ours in the unit of the error. The far tail is nothing, or in theirs a NaN.
    ours = smallest_difference(seeds**-0.5, seeds - 1.0, alpha)
    assert TTestPower().power(ours, seeds, alpha / 2, alternative="larger") == pytest.approx(0.8)
    if seeds > 4:
        theirs = TTestPower().solve_power(nobs=seeds, alpha=alpha, power=0.8)
        assert ours == pytest.approx(float(np.squeeze(theirs)), rel=1e-3)


def rows(metric: str, seed: int, count: int = 60) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
    """Labels, and the answers of three runs."""
    rng = np.random.default_rng(seed)
    if metric in ("pearson", "spearman"):
        # Rounded, so that ranks are tied; far from 0, as ratings may be.
        labels = np.round(rng.normal(size=count), 1) + 100
        return labels, np.round(labels[:, None] + rng.normal(size=(count, 3)), 1)
    classes = 2 if metric == "f1" else 4
    labels = rng.integers(0, classes, count)
    other = rng.integers(0, classes, (count, 3))
    return labels, np.where(rng.random((count, 3)) < 0.6, labels[:, None], other)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("metric", list(METRICS))
def test_a_row_drawn_twice_counts_twice(metric: str, seed: int) -> None:
    labels, answers = rows(metric, seed)
    counts = np.concatenate(list(row_counts(len(labels), 20, np.random.default_rng(seed))))
    found = RESAMPLED[metric](labels, answers, counts)  # type: ignore[index]
    for drawing, scores in zip(counts.astype(int), found, strict=True):
        truth = np.repeat(labels, drawing)
        theirs = [METRICS[metric](truth, np.repeat(column, drawing)) for column in answers.T]  # type: ignore[index]
        assert scores == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize("metric", list(METRICS))
def test_constant_answers_score_as_the_metric_says(metric: str) -> None:
    labels, _ = rows(metric, 0)
    answers = np.full((len(labels), 1), labels[0])
    counts = np.concatenate(list(row_counts(len(labels), 5, np.random.default_rng(0))))
    found = RESAMPLED[metric](labels, answers, counts)  # type: ignore[index]
    theirs = [METRICS[metric](np.repeat(labels, c), np.repeat(answers[:, 0], c)) for c in counts.astype(int)]  # type: ignore[index]
    assert found[:, 0] == pytest.approx(theirs, abs=1e-12)


def drawn(d: NDArray[np.float64], draws: int) -> Differences:
    """Differences of rows (rows, seeds) as one task, with its drawings."""
    counts = np.concatenate(list(row_counts(len(d), draws, np.random.default_rng(1))))
    return Differences(d.mean(axis=0), (counts @ d / len(d))[None], (len(d),))


def test_the_bootstrap_of_one_seed_is_the_paired_one() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.random(200) < 0.7, rng.random(200) < 0.75
    d = second.astype(float) - first
    ours = bootstrap_interval(drawn(d[:, None], 20_000), np.random.default_rng(2))
    theirs = bootstrap((d,), np.mean, method="percentile", n_resamples=20_000, rng=np.random.default_rng(3))
    assert ours == pytest.approx(tuple(theirs.confidence_interval), abs=0.006)


def test_two_ways_of_clustering() -> None:
    rng = np.random.default_rng(0)
    count, seeds = 400, 40
    d = 0.1 + rng.normal(0, 0.3, (count, 1)) + rng.normal(0, 0.1, (1, seeds)) + rng.normal(0, 1, (count, seeds))
    groups = np.stack([np.repeat(np.arange(count), seeds), np.tile(np.arange(seeds), count)], axis=1)
    fit = OLS(d.ravel(), np.ones(d.size)).fit(
        cov_type="cluster", cov_kwds={"groups": groups, "use_correction": False}, use_t=False
    )
    ours = two_way(drawn(d, 4000))
    assert ours.difference == pytest.approx(float(fit.params[0]))
    # They divide by the number of seeds, we by one less; a bootstrap's variance has an error of its own.
    assert ours.error == pytest.approx(float(fit.bse[0]), rel=0.04)


def logits(classes: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    rng = np.random.default_rng(classes)
    labels = rng.integers(0, classes, 800)
    # The truth is a third as sure as these say.
    scores = rng.normal(size=(800, classes)) + 1.2 * np.eye(classes)[labels]
    return 3 * scores, labels


@pytest.mark.parametrize("classes", [2, 5])
def test_temperature(classes: int) -> None:
    scores, labels = logits(classes)
    given = LogisticRegression().fit(scores, labels)
    reading = given.decision_function(scores)
    theirs = CalibratedClassifierCV(FrozenEstimator(given), method="temperature", ensemble=False).fit(scores, labels)
    ours = reading[:, None] if classes == 2 else reading
    found = probabilities(ours, fit_temperature(ours, labels))
    assert found == pytest.approx(theirs.predict_proba(scores), abs=2e-4)


def test_platt() -> None:
    scores, labels = logits(2)
    given = LogisticRegression().fit(scores, labels)
    theirs = CalibratedClassifierCV(FrozenEstimator(given), method="sigmoid", ensemble=False).fit(scores, labels)
    reading = given.decision_function(scores)[:, None]
    scale, shift = fit_platt(reading, labels)
    assert probabilities(scale * reading + shift) == pytest.approx(theirs.predict_proba(scores), abs=1e-5)


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_reliability(strategy: str) -> None:
    scores, labels = logits(5)
    table = probabilities(scores)
    confidence, right = table.max(axis=1), table.argmax(axis=1) == labels
    bins = reliability(confidence, right, equal_width() if strategy == "uniform" else equal_mass(confidence))
    share, mean = calibration_curve(right, confidence, n_bins=10, strategy=strategy)
    assert [part.right for part in bins] == pytest.approx(list(share), abs=0.02)
    assert [part.confidence for part in bins] == pytest.approx(list(mean), abs=0.01)
    assert sum(part.rows for part in bins) == len(labels)
