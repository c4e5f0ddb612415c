"""Contenders in turn, medians with spread, one table."""

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

console = Console(width=120, highlight=False)


@dataclass
class Lap:
    """What one contender took."""

    name: str
    seconds: list[float] = field(default_factory=list)
    remark: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def spread(self) -> float:
        """Half the distance of the quartiles, as a share of the median."""
        if len(self.seconds) < 4:
            return (max(self.seconds) - min(self.seconds)) / 2 / self.median
        low, _, high = statistics.quantiles(self.seconds, n=4)
        return (high - low) / 2 / self.median


MANY = 20
"""From so many rounds on a lap is short, and collecting garbage before it would take longer than the lap."""


def race(works: dict[str, Callable[[], Any]], rounds: int = 5, warm: int = 1) -> list[Lap]:
    """Runs all works in turn, `rounds` times, after `warm` rounds that do not count.

    Machines are shared and noisy: a round's works stand next to each other in time, so a ratio is taken within a round.
    """
    laps = [Lap(name) for name in works]
    for number in range(warm + rounds):
        for lap, work in zip(laps, works.values(), strict=True):
            if rounds < MANY:
                gc.collect()
            begin = time.perf_counter()
            work()
            if number >= warm:
                lap.seconds.append(time.perf_counter() - begin)
    return laps


def ratio(peer: Lap, mine: Lap) -> float:
    """How many times as long the peer took: the median over rounds."""
    return statistics.median(a / b for a, b in zip(peer.seconds, mine.seconds, strict=True))


SIZE = 2048
"""Of the matrices by which the peak is measured."""


class Products:
    """A contender: some large square products, one after the other."""

    def __init__(self, dtype: torch.dtype, count: int = 16) -> None:
        self.left, self.right = torch.ones(SIZE, SIZE, dtype=dtype), torch.ones(SIZE, SIZE, dtype=dtype)
        self.count, self.operations = count, 2.0 * SIZE**3 * count

    def __call__(self) -> None:
        for _ in range(self.count):
            self.left @ self.right


def matrix_peak(dtype: torch.dtype, repeats: int = 5) -> float:
    """The rate of a large square product, in floating point operations a second: the best of some."""
    products = Products(dtype, 1)
    (lap,) = race({"products": products}, repeats)
    return products.operations / min(lap.seconds)


@dataclass
class Row:
    """A line of the result: one work, minbert against one peer (or none)."""

    work: str
    mine: str
    peer: str = ""
    ratio: float | None = None
    must: float | None = None
    remark: str = ""

    @property
    def holds(self) -> str:
        if self.ratio is None or self.must is None:
            return ""
        return "yes" if self.ratio >= self.must else "NO"


def against(work: str, laps: list[Lap], unit: str, amount: float, musts: dict[str, float] | None = None) -> list[Row]:
    """Rows from a race whose first contender is minbert.

    Args:
        work: what was done.
        laps: of the race.
        unit: of `amount`, for example `sentences`.
        amount: done in one lap.
        musts: by peer, the ratio that is asked for.
    """
    mine, *peers = laps

    def rate(lap: Lap) -> str:
        return f"{amount / lap.median:,.0f} {unit}/s ±{lap.spread:.0%}"

    return [
        Row(
            work, rate(mine), f"{peer.name}: {rate(peer)}", ratio(peer, mine), (musts or {}).get(peer.name), peer.remark
        )
        for peer in peers
    ]


def of_peak(
    work: str, mine: Callable[[], Any], operations: float, precision: torch.dtype, must: float, rounds: int = 9
) -> Row:
    """Operations a second as a share of the rate of large products in the same precision, in turn with them.

    Args:
        work: what was done.
        mine: does it.
        operations: in the matrix products of one lap of it.
        precision: in which it computes.
        must: the share that is asked for.
        rounds: of the race.
    """
    products = Products(precision)
    lap, large = race({"minbert": mine, "products": products}, rounds)
    shares = [operations / a / (products.operations / b) for a, b in zip(lap.seconds, large.seconds, strict=True)]
    share, best = statistics.median(shares), products.operations / min(large.seconds)
    rate = products.operations / large.median / 1e9
    name = str(precision).removeprefix("torch.")
    remark = f"{operations / lap.median / best:.0%} of their best lap, {best / 1e9:.0f}"
    return Row(work, f"{share:.0%} of {rate:.0f} GFLOP/s {name}", "large products in turn", share, must, remark)


def show(title: str, rows: list[Row]) -> None:
    """Prints rows as they come."""
    table = Table("work", "minbert", "peer", "ratio", "asked", "holds", "remark", title=title)
    for row in rows:
        cells = ["" if value is None else f"{value:.2f}" for value in (row.ratio, row.must)]
        table.add_row(row.work, row.mine, row.peer, *cells, row.holds, row.remark)
    console.print(table)
