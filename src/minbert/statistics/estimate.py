"""`Estimate`: a difference, and how sure one can be of it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import t

Numbers = npt.NDArray[np.float64]
LEVEL = 0.95
"""The share of intervals that hold the true value."""


@dataclass(frozen=True)
class Estimate:
    """A difference with its interval and a two-sided p against "no difference".

    Attributes:
        difference: in the metric's unit.
        low: of the interval.
        high: of the interval.
        p: 0 to 1.
        error: the standard error.
        df: degrees of freedom of the standard error.
    """

    difference: float
    low: float
    high: float
    p: float
    error: float
    df: float


def t_estimate(difference: float, variance: float, df: float) -> Estimate:
    """The t interval and p of a difference whose variance was estimated with `df` degrees of freedom.

    Where the variance is 0 the interval is the difference itself, and p is 1 if that is 0 and 0 if it is not.
    """
    error = float(np.sqrt(variance))
    half = float(t.ppf((1 + LEVEL) / 2, df)) * error
    p = float(2 * t.sf(abs(difference) / error, df)) if error else float(difference == 0)
    return Estimate(difference, difference - half, difference + half, p, error, df)
