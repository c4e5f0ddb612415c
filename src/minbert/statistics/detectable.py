"""The smallest difference that a design could see."""

from scipy.optimize import brentq
from scipy.stats import nct, t

ALPHA, POWER = 0.05, 0.8


def smallest_difference(error: float, df: float, alpha: float = ALPHA) -> float:
    """The true difference that a two-sided t test finds four times in five.

    `error * shift`, where a noncentral t with `shift` exceeds the test's edge with probability .8.

    Args:
        error: the standard error of the difference, 0 or more.
        df: its degrees of freedom, above 0.
        alpha: the level of the test, 0 to 1.

    Source: Cohen 1988, chapter 2.
    Deviates: the far tail, where the test finds the opposite, is left out; it adds less than 1e-4 to the power.
    """
    edge = float(t.isf(alpha / 2, df))
    return error * float(brentq(lambda shift: nct.sf(edge, df, shift) - POWER, 0.0, 2 * edge + 5))
