"""What `conflicts_every = 10` costs: a step whose gradients are compared against one of the plain sum."""

from benchmarks.race import Row, race, ratio
from benchmarks.surgery import batches, stepper
from minbert.gradients import Sum

EVERY = 10
ALLOWED = 1.05


def run(rounds: int = 7) -> list[Row]:
    """The cost of a step, of which one in ten is compared."""
    texts = batches()
    plain, compared = race({"plain": stepper(Sum(), texts), "compared": stepper(Sum(), texts, every=1)}, rounds, warm=2)
    longer = ratio(compared, plain)
    cost = 1 + (longer - 1) / EVERY
    return [
        Row(
            f"steps of three tasks, conflicts_every = {EVERY} against 0",
            f"{plain.median * cost:.3f} s a step",
            f"0: {plain.median:.3f} s",
            1 / cost,
            1 / ALLOWED,
            f"{cost:.3f} times as long; a compared step {longer:.2f}; asked at most {ALLOWED}",
        )
    ]
