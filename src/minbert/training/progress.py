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

    def scored(self, line: dict[str, Any]) -> None:
        """An epoch has been scored: its line in `metrics.jsonl`. What is raised here ends the run, as it stands."""
