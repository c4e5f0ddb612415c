"""From shares to batches: how many of each task, and in which order."""

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor


def apportioned(expected: Tensor, total: int) -> list[int]:
    """Whole numbers nearest to those expected, each 1 or more, that add up to the total: the largest remainders win.

    Args:
        expected: (tasks,), 0 or more, adding up to the total.
        total: at least the number of tasks.
    """
    wanted: list[float] = expected.tolist()
    counts = [max(int(share), 1) for share in wanted]
    while sum(counts) < total:
        counts[_most(share - count for share, count in zip(wanted, counts, strict=True))] += 1
    while sum(counts) > total:
        over = (count - share if count > 1 else -math.inf for share, count in zip(wanted, counts, strict=True))
        counts[_most(over)] -= 1
    return counts


def _most(values: Iterable[float]) -> int:
    """The place of the largest, the first of equal ones."""
    listed = list(values)
    return listed.index(max(listed))


def drifting(shares: Tensor, counts: Sequence[int], rng: torch.Generator) -> list[int]:
    """A random order whose mix follows the shares; where they stay the same, all orders are equally likely.

    Args:
        shares: of each task at each place, (total, tasks), rows adding up to 1.
        counts: batches of each task, together the total.
        rng: what the places are drawn from.

    Returns:
        A task number per batch.
    """
    places = [
        torch.multinomial(shares[:, task], count, replacement=True, generator=rng)
        + torch.rand(count, generator=rng, dtype=torch.float64)
        for task, count in enumerate(counts)
    ]
    tasks = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(list(counts)))
    order: list[int] = tasks[torch.cat(places).argsort(stable=True)].tolist()
    return order
