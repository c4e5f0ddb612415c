"""First weights, and how to do without them where they are read from a file: to draw them takes longer than to read."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from torch import nn

_drawing = ContextVar("drawing", default=True)


@contextmanager
def undrawn() -> Iterator[None]:
    """Within, modules are made without first weights: what stands there is anything, until it is written over."""
    token = _drawing.set(False)
    try:
        yield
    finally:
        _drawing.reset(token)


class Drawn:
    """Before one of torch's modules among the bases: draws its first weights, except where nobody wants them."""

    def reset_parameters(self) -> None:
        """Draws them as torch does."""
        if _drawing.get():
            base: Any = super()
            base.reset_parameters()


class Table(Drawn, nn.Embedding):
    """A vector for each of so many things."""
