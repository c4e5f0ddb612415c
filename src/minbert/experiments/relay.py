"""A listener between the training and another listener."""

from collections.abc import Callable
from typing import Any

from minbert.training import Listener


class Relay(Listener):
    """Hands on all it hears, and lets a run be ended from outside.

    Args:
        listener: who is told.
        on_advance: called as work is done; what it raises ends the run.
        on_scored: called with the line of each epoch; the same.
    """

    def __init__(
        self,
        listener: Listener,
        on_advance: Callable[[], None] = lambda: None,
        on_scored: Callable[[dict[str, Any]], None] = lambda line: None,
    ) -> None:
        self.listener, self.on_advance, self.on_scored = listener, on_advance, on_scored

    def begin(self, work: int, done: int = 0) -> None:
        self.listener.begin(work, done)

    def advance(self, work: int) -> None:
        self.on_advance()
        self.listener.advance(work)

    def doing(self, what: str) -> None:
        self.listener.doing(what)

    def say(self, line: str) -> None:
        self.listener.say(line)

    def resumed(self, number: int) -> None:
        self.listener.resumed(number)

    def stepped(self, number: int, losses: list[tuple[str, float]], rate: float) -> None:
        self.listener.stepped(number, losses, rate)

    def scored(self, line: dict[str, Any]) -> None:
        self.listener.scored(line)
        self.on_scored(line)
