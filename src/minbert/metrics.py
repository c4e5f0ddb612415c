"""Metrics, on scikit-learn and scipy."""

import warnings
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[Any]
Metric = Literal["accuracy", "f1", "macro_f1", "pearson", "spearman"]


def accuracy(labels: Numbers, predicted: Numbers) -> float:
    """The share of rows that are right."""
    return float(np.mean(labels == predicted))


def f1(labels: Numbers, predicted: Numbers) -> float:
    """The harmonic mean of precision and recall of class 1; 0 where nothing is predicted or labelled 1."""
    from sklearn.metrics import f1_score

    return float(f1_score(labels, predicted, zero_division=0))


def macro_f1(labels: Numbers, predicted: Numbers) -> float:
    """The mean over the classes of their F1."""
    from sklearn.metrics import f1_score

    return float(f1_score(labels, predicted, average="macro", zero_division=0))


def pearson(labels: Numbers, predicted: Numbers) -> float:
    """Pearson's correlation; 0 where either side is constant."""
    from scipy.stats import pearsonr

    return _correlation(pearsonr, labels, predicted)


def spearman(labels: Numbers, predicted: Numbers) -> float:
    """Spearman's rank correlation; 0 where either side is constant."""
    from scipy.stats import spearmanr

    return _correlation(spearmanr, labels, predicted)


def _correlation(method: Callable[..., object], labels: Numbers, predicted: Numbers) -> float:
    if len(labels) < 2 or np.ptp(labels) == 0 or np.ptp(predicted) == 0:
        return 0.0
    with warnings.catch_warnings():
        # scipy warns of nearly constant input; the value it gives is what is wanted.
        warnings.simplefilter("ignore")
        return float(method(labels, predicted).statistic)  # type: ignore[attr-defined]


METRICS: dict[Metric, Callable[[Numbers, Numbers], float]] = {
    "accuracy": accuracy,
    "f1": f1,
    "macro_f1": macro_f1,
    "pearson": pearson,
    "spearman": spearman,
}


def raw_mean(scores: dict[str, float]) -> float:
    """The mean of the tasks' scores as they are."""
    return sum(scores.values()) / len(scores)


def norm_mean(scores: dict[str, float], correlations: set[str]) -> float:
    """The mean with correlations mapped to 0-1 by `(r + 1) / 2`. Not to be compared with `raw_mean`."""
    return sum((s + 1) / 2 if task in correlations else s for task, s in scores.items()) / len(scores)
