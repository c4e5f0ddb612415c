"""Metrics against numpy and the definitions, not by way of the functions that they call."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

from minbert.metrics import accuracy, f1, macro_f1, pearson, spearman

ROWS = 300


def labels(classes: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, ROWS)
    return truth, np.where(rng.random(ROWS) < 0.6, truth, rng.integers(0, classes, ROWS))


def numbers(seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    truth = np.round(5 * rng.random(ROWS), 1)
    return truth, truth + rng.normal(size=ROWS)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("classes", [2, 5])
def test_classes(classes: int, seed: int) -> None:
    truth, predicted = labels(classes, seed)
    table = confusion_matrix(truth, predicted)
    by_class = 2 * np.diag(table) / (table.sum(0) + table.sum(1))
    assert accuracy(truth, predicted) == pytest.approx(accuracy_score(truth, predicted), abs=1e-12)
    assert macro_f1(truth, predicted) == pytest.approx(by_class.mean(), abs=1e-12)
    if classes == 2:
        theirs = precision_recall_fscore_support(truth, predicted, average="binary")[2]
        assert f1(truth, predicted) == pytest.approx(by_class[1], abs=1e-12) == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_correlations(seed: int) -> None:
    truth, predicted = numbers(seed)
    assert pearson(truth, predicted) == pytest.approx(np.corrcoef(truth, predicted)[0, 1], abs=1e-12)
    ranks = np.corrcoef(rankdata(truth), rankdata(predicted))[0, 1]
    assert spearman(truth, predicted) == pytest.approx(ranks, abs=1e-12)
    assert pearson(truth.astype(np.float32), predicted) == pytest.approx(pearson(truth, predicted), abs=1e-6)
