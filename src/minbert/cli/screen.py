"""What the commands show while they work."""

import sys
import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from minbert.reporting.grid import Grid
from minbert.training import Listener

PLAIN_SECONDS = 30.0
"""Where there is no terminal a line is printed this often."""

console = Console(highlight=False)
aside = Console(stderr=True, highlight=False)
"""For progress of commands whose output may go into a file."""


def show(grid: Grid) -> None:
    """Prints a table beneath its title, which may be wider than it."""
    if grid.title:
        console.print(grid.title, markup=False, style="italic")
    console.print(grid.rich(console.width))
    console.print()


class Bar(Listener):
    """A bar with an estimate on a terminal; now and then a line elsewhere. Use as a context manager.

    Args:
        to: where it is shown.
    """

    def __init__(self, to: Console = console) -> None:
        self.to = to
        self.progress = Progress(
            TextColumn("{task.description:<28}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=to,
            transient=True,
            disable=not to.is_terminal,
        )
        self.task = self.progress.add_task("starting", total=None)
        self.what, self.work, self.done, self.first = "", 0, 0, 0
        self.begun = self.told = time.monotonic()

    def __enter__(self) -> "Bar":
        self.progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.progress.stop()

    def begin(self, work: int, done: int = 0) -> None:
        self.work, self.done, self.first = work, done, done
        self.begun = self.told = time.monotonic()
        self.progress.reset(self.task, total=work, completed=done)

    def advance(self, work: int) -> None:
        self.done += work
        self.progress.advance(self.task, work)
        now = time.monotonic()
        if not self.to.is_terminal and now - self.told > PLAIN_SECONDS and self.work:
            self.told = now
            rate = (now - self.begun) / max(1, self.done - self.first)
            left = duration(rate * max(0, self.work - self.done))
            self.to.print(f"{self.what}: {min(1.0, self.done / self.work):.0%}, about {left} left")
            sys.stdout.flush()

    def doing(self, what: str) -> None:
        self.what = what
        self.progress.update(self.task, description=what)

    def say(self, line: str) -> None:
        self.to.print(line, markup=False)


def duration(seconds: float) -> str:
    """Seconds as a person says them: 40 s, 14 min, 2 h 10 min."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
