"""How training tells what it does. The commands show it; from Python it is silent unless a listener is given."""

from typing import Any


class Listener:
    """Hears of the work. This one says nothing; the command line's draws a bar."""

    def begin(self, work: int, done: int = 0) -> None:
        """The whole amount of work, in token passes, and what is already done."""

    def advance(self, work: int) -> None:
        """More token passes are done."""

    def doing(self, what: str) -> None:
        """What is being done now."""

    def say(self, line: str) -> None:
        """A line worth keeping on the screen."""

    def resumed(self, number: int) -> None:
        """A run that was stopped goes on behind this step; see `stepped`."""

    def stepped(self, number: int, losses: list[tuple[str, float]], rate: float) -> None:
        """A step has been made.

        Args:
            number: of the step, from 1, over all stages as they are planned.
            losses: of its batches, each with its task.
            rate: the learning rate of the encoder.
        """

    def scored(self, line: dict[str, Any]) -> None:
        """An epoch has been scored: its line in `metrics.jsonl`. What is raised here ends the run, as it stands."""


class Several(Listener):
    """Hands on all it hears to each of several listeners, in order; what one of them raises, the next do not hear.

    Args:
        listeners: who is told.
    """

    def __init__(self, *listeners: Listener) -> None:
        self.listeners = listeners

    def begin(self, work: int, done: int = 0) -> None:
        for listener in self.listeners:
            listener.begin(work, done)

    def advance(self, work: int) -> None:
        for listener in self.listeners:
            listener.advance(work)

    def doing(self, what: str) -> None:
        for listener in self.listeners:
            listener.doing(what)

    def say(self, line: str) -> None:
        for listener in self.listeners:
            listener.say(line)

    def resumed(self, number: int) -> None:
        for listener in self.listeners:
            listener.resumed(number)

    def stepped(self, number: int, losses: list[tuple[str, float]], rate: float) -> None:
        for listener in self.listeners:
            listener.stepped(number, losses, rate)

    def scored(self, line: dict[str, Any]) -> None:
        for listener in self.listeners:
            listener.scored(line)
