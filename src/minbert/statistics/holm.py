"""Holm's correction for several comparisons."""

from collections.abc import Sequence


def holm(ps: Sequence[float]) -> list[float]:
    """Adjusted p in the order given: `max over the smaller ones of (number of those not smaller) * p`, at most 1.

    Where one is below .05, the chance that any of the comparisons was called by mistake is below .05.

    Source: Holm 1979.
    """
    adjusted = [0.0] * len(ps)
    largest = 0.0
    for rank, place in enumerate(sorted(range(len(ps)), key=lambda i: ps[i])):
        largest = max(largest, min(1.0, (len(ps) - rank) * ps[place]))
        adjusted[place] = largest
    return adjusted
