"""McNemar's test for two runs that answered the same rows."""

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

Mask = npt.NDArray[np.bool_]


def mcnemar(first: Mask, second: Mask) -> float:
    """The exact two-sided p that rows which only one run has right fall evenly on both; 1 where there are none.

    Args:
        first: rows that the first run has right.
        second: the same rows by the second run.

    Source: McNemar 1947, with the binomial distribution in place of chi-squared.
    """
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    if only_first + only_second == 0:
        return 1.0
    return float(binomtest(min(only_first, only_second), only_first + only_second).pvalue)
