"""The gradients of shared weights task by task, from one pass and one way back of all tasks' batches.

The rows of a pack belong to its parts, and each part to a task. No layer mixes rows of two parts, so in one way back of
the summed losses each row has the gradient of its own task. Only where rows are summed into the gradient of a weight
have the tasks to be kept apart: there each layer asks who does (`current`).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import accumulate, groupby

from torch import Tensor, nn

from minbert.encoder.layout import Layout


class ByTask:
    """Collects the gradients of one step, by task and weight."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, Tensor], Tensor] = {}
        self._aliases: dict[tuple[str, Tensor], Tensor] = {}

    def add(self, task: str, weight: Tensor, gradient: Tensor) -> None:
        """Adds to the gradient of a task."""
        before = self._found.get((task, weight))
        self._found[task, weight] = gradient if before is None else before.add_(gradient)

    def alias(self, task: str, weight: Tensor) -> Tensor:
        """The same numbers as a leaf of its own, whose gradient is the task's: for what torch differentiates."""
        if (task, weight) not in self._aliases:
            self._aliases[task, weight] = weight.detach().requires_grad_(weight.requires_grad)
        return self._aliases[task, weight]

    def aliases(self, task: str, module: nn.Module) -> dict[str, Tensor]:
        """Those of all weights of a module, by name."""
        return {name: self.alias(task, weight) for name, weight in module.named_parameters()}

    def take(self, task: str, weight: Tensor) -> Tensor | None:
        """The gradient of a task; None where it does not use the weight."""
        alias = self._aliases.get((task, weight))
        if alias is not None and alias.grad is not None:
            self.add(task, weight, alias.grad)
            alias.grad = None
        return self._found.pop((task, weight), None)


@dataclass(frozen=True)
class Split:
    """Whose the parts of a pack are.

    Attributes:
        by_task: collects the gradients.
        tasks: of each part.
        layout: of the pack.
    """

    by_task: ByTask
    tasks: Sequence[str]
    layout: Layout

    def runs(self) -> Iterator[tuple[str, int, int]]:
        """Neighbouring parts of one task: the task, the first of them, and the one behind the last."""
        first = 0
        for task, parts in groupby(self.tasks):
            last = first + len(list(parts))
            yield task, first, last
            first = last

    def rows(self, count: int) -> list[tuple[str, slice]]:
        """Which rows belong to which task: of one row per token or, if there are fewer, of one per sequence.

        Rows of padding behind the last token come with the last task; their gradients are zeros.
        """
        sizes = self.layout.tokens if count >= sum(self.layout.tokens) else self.layout.sequences
        bounds = list(accumulate(sizes, initial=0))
        found = [(task, slice(bounds[first], bounds[last])) for task, first, last in self.runs()]
        task, rows = found[-1]
        return [*found[:-1], (task, slice(rows.start, count))]


Owners = tuple[ByTask, Sequence[str]]
"""Who collects gradients by task, and the task of each pack."""

_current: ContextVar[Split | None] = ContextVar("split", default=None)
current = _current.get
"""Whose the rows are that a layer gets; None: nobody asks."""

Apart = tuple[Split, Tensor, Tensor]
"""Whose the rows are; a layer's weight and bias."""


def apart(weight: Tensor, bias: Tensor) -> Apart | None:
    """What the way back of a layer needs to keep tasks apart; None: nobody asks."""
    split = current()
    return None if split is None else (split, weight, bias)


@contextmanager
def kept_apart(owners: Owners | None, layout: Layout) -> Iterator[None]:
    """Within, layers keep the gradients of the tasks apart."""
    token = _current.set(None if owners is None else Split(*owners, layout))
    try:
        yield
    finally:
        _current.reset(token)
