"""A listener that lets a run be ended from outside."""

from collections.abc import Callable
from typing import Any

from minbert.training import Listener


class Hooks(Listener):
    """Calls functions; what they raise ends the run.

    Args:
        on_advance: called as work is done.
        on_scored: called with the line of each epoch.
    """

    def __init__(
        self,
        on_advance: Callable[[], None] = lambda: None,
        on_scored: Callable[[dict[str, Any]], None] = lambda line: None,
    ) -> None:
        self.on_advance, self.on_scored = on_advance, on_scored

    def advance(self, work: int) -> None:
        self.on_advance()

    def scored(self, line: dict[str, Any]) -> None:
        self.on_scored(line)
