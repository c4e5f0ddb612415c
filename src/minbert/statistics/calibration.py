"""Whether a stated probability is the share of right answers: Platt scaling, temperature, reliability, ECE."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, log_softmax, softmax

from minbert.statistics.estimate import Numbers

Ints = npt.NDArray[np.int64]
COLDEST, HOTTEST = 0.05, 20.0
BINS = 10


def probabilities(scores: Numbers, temperature: float = 1.0) -> Numbers:
    """`softmax(scores / T)`; for one logit the columns no and yes.

    Args:
        scores: logits, (rows, classes), or (rows, 1) for yes/no.
        temperature: above 0; below 1 sharpens, above 1 softens.
    """
    scaled = scores.astype(np.float64) / temperature
    if scaled.shape[1] == 1:
        return np.hstack([expit(-scaled), expit(scaled)])
    found: Numbers = softmax(scaled, axis=1)
    return found


def negative_log_likelihood(scores: Numbers, labels: Ints, temperature: float = 1.0) -> float:
    """The mean of `-log p(label)`."""
    scaled = scores.astype(np.float64) / temperature
    logits = np.hstack([np.zeros_like(scaled), scaled]) if scaled.shape[1] == 1 else scaled
    # 0 and not -0 where all are certain and right.
    return 0.0 - float(log_softmax(logits, axis=1)[np.arange(len(labels)), labels].mean())


def fit_temperature(scores: Numbers, labels: Ints) -> float:
    """The temperature, from .05 to 20, with the least negative log likelihood.

    Where all rows are right the least is at 0, and what comes out is small: at most so much that it cannot be told.

    Source: Guo et al. 2017, section 4.2.
    """
    found = minimize_scalar(
        lambda log_t: negative_log_likelihood(scores, labels, float(np.exp(log_t))),
        bounds=(np.log(COLDEST), np.log(HOTTEST)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(np.exp(found.x))


def fit_platt(scores: Numbers, labels: Ints) -> tuple[float, float]:
    """Scale `a` and shift `b` of `p(yes) = sigmoid(a * logit + b)`, with the least cross-entropy to softened labels.

    Labels are softened to `(N_yes + 1) / (N_yes + 2)` and `1 / (N_no + 2)`, so that rows that can be parted perfectly
    do not send `a` to infinity. `a` stays between .05 and 20: answers may move, but never turn round.

    Args:
        scores: logits, (rows, 1).
        labels: 0 or 1, (rows,); one at least.

    Source: Platt 1999, section 2.2; Lin et al. 2007.
    """
    logits, yes = scores[:, 0].astype(np.float64), int(labels.sum())
    wanted = np.where(labels == 1, (yes + 1) / (yes + 2), 1 / (len(labels) - yes + 2))

    def cost(line: Numbers) -> tuple[float, Numbers]:
        found = line[0] * logits + line[1]
        error = expit(found) - wanted
        loss = np.logaddexp(0.0, found) - wanted * found
        return float(loss.mean()), np.array([(error * logits).mean(), error.mean()])

    bounds = [(1 / HOTTEST, 1 / COLDEST), (None, None)]
    found = minimize(cost, [1.0, 0.0], jac=True, bounds=bounds, method="L-BFGS-B", options={"ftol": 1e-14})
    return float(found.x[0]), float(found.x[1])


@dataclass(frozen=True)
class Bin:
    """Rows whose confidence lies in one interval.

    Attributes:
        low: of the interval, above it (the first holds it too).
        high: of the interval, included.
        rows: how many.
        confidence: their mean probability of the answer.
        right: the share of right answers.
    """

    low: float
    high: float
    rows: int
    confidence: float
    right: float


def equal_width(bins: int = BINS) -> Numbers:
    """Edges that cut 0 to 1 into equal intervals."""
    return np.linspace(0.0, 1.0, bins + 1)


def equal_mass(confidence: Numbers, bins: int = BINS) -> Numbers:
    """Edges between which about as many rows lie; fewer where equal confidences cannot be parted."""
    edges: Numbers = np.unique(np.quantile(confidence, np.linspace(0, 1, bins + 1)))
    return edges if len(edges) > 1 else np.repeat(edges, 2)


def reliability(confidence: Numbers, right: npt.NDArray[np.bool_], edges: Numbers) -> list[Bin]:
    """The bins that hold rows."""
    place = np.clip(np.searchsorted(edges, confidence, side="left"), 1, len(edges) - 1)
    return [
        Bin(
            float(edges[i - 1]),
            float(edges[i]),
            int((place == i).sum()),
            float(confidence[place == i].mean()),
            float(right[place == i].mean()),
        )
        for i in range(1, len(edges))
        if (place == i).any()
    ]


def expected_calibration_error(bins: list[Bin]) -> float:
    """`sum over bins of rows / all rows * |right - confidence|`, 0 to 1.

    Source: Naeini et al. 2015; Guo et al. 2017, eq. 3.
    """
    rows = sum(part.rows for part in bins)
    return sum(part.rows * abs(part.right - part.confidence) for part in bins) / rows
