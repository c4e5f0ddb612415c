"""The share of a training step that is spent outside the encoder and the optimizer: batching, heads, losses."""

import time
from typing import Any

from benchmarks.race import Row
from benchmarks.training import Ours, works


class Clock:
    """Wraps a step so that the time outside the encoder is summed up.

    Outside are: packing; heads and losses forward; and on the way back, everything before the gradient reaches the
    pooled vectors.
    """

    def __init__(self, mine: Ours) -> None:
        self.outside, self.begin = 0.0, 0.0
        texts_batch, vectors_of = mine.texts.batch, mine.model.encoder.vectors_of

        def batch(*given: Any) -> Any:
            begin = time.perf_counter()
            made = texts_batch(*given)
            self.outside += time.perf_counter() - begin
            return made

        def encoded(*given: Any) -> Any:
            found = vectors_of(*given)
            found[0][0].register_hook(lambda _: self._back())
            self.begin = time.perf_counter()
            return found

        object.__setattr__(mine.texts, "batch", batch)
        mine.model.encoder.vectors_of = encoded  # type: ignore[method-assign]

    def _back(self) -> None:
        self.outside += time.perf_counter() - self.begin


def run(rounds: int = 5) -> list[Row]:
    """For each work the share of the whole step, the optimizer's part counted as inside."""
    rows = []
    for work in works():
        mine = Ours(work)
        mine()
        clock, total = Clock(mine), 0.0
        for _ in range(rounds):
            begin = time.perf_counter()
            mine()
            total += time.perf_counter() - begin
        share = clock.outside / total
        rows.append(
            Row(
                f"outside the encoder, {work.name}",
                f"{share:.1%} of a step",
                "asked: at most 4 %",
                0.04 / share,
                1.0,
                "packing, heads, losses and their way back",
            )
        )
    return rows
