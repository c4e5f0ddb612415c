"""The paired t test over seeds."""

from minbert.statistics.estimate import Estimate, Numbers, t_estimate


def paired_t(differences: Numbers) -> Estimate:
    """`mean d ± t s_d / sqrt(S)`: what seeds alone make of a difference, on these very rows.

    Args:
        differences: second arm minus first, one for each seed that both have; (S,), S two or more.

    Raises:
        ValueError: fewer than two seeds.

    Source: Student 1908.
    """
    seeds = len(differences)
    if seeds < 2:
        raise ValueError(f"expected two seeds or more, found {seeds}")
    return t_estimate(float(differences.mean()), float(differences.var(ddof=1)) / seeds, float(seeds - 1))
