"""One plain sentence per arm."""

from minbert.comparison.compare import Against


def sentence(one: Against, arms: int) -> str:
    """A gain, a loss, or noise, with the numbers that say so.

    Args:
        one: an arm against the control.
        arms: how many are compared with the control, for Holm's correction.
    """
    name = f"{one.arm} against {one.control}"
    if not one.pairs:
        return f"{name}: no seed in common, so no comparison"
    if not one.contrasts:
        return f"{name}: no task that can be compared"
    primary = one.contrasts[0]
    both, seeds = primary.both, len(one.pairs)
    corrected = f" after Holm's correction for {arms} arms" if arms > 1 else ""
    numbers = (
        f"{name}: {primary.quantity} {both.difference:+.3f} (95 % interval {both.low:+.3f} to {both.high:+.3f}, "
        f"{seeds} seed{'s' if seeds > 1 else ''}, p = {both.p if not corrected else one.p:.3f}{corrected}): "
    )
    if both.error == 0 and both.difference == 0:
        said = "no answer is worth more or less"
    elif one.verdict == "noise":
        said = f"noise; a difference of {one.detectable:.3f} could have been seen"
    else:
        said = f"a {one.verdict}"
    if seeds == 1:
        said += " between these two runs; the noise of seeds is not in the interval, so nothing is said of the recipes"
    return numbers + said
