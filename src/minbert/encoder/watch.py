"""Whether weights have changed since something was made of them."""

from itertools import chain
from operator import is_
from typing import Any

from torch import Tensor, nn


class Watch:
    """Sees whether modules still have the parts, and their weights the numbers, that they had when it was made.

    Their tables are read as they are: a module looks its parts up in Python, and for a short text that counts.
    """

    def __init__(self, *modules: nn.Module) -> None:
        self.modules = modules
        inner: list[Any] = list(modules)
        for module in inner:
            inner += [part for part in module._modules.values() if part is not None]
        self._tables = [table for module in inner for table in (module._modules, module._parameters) if table]
        self._parts = self._found()
        self._weights = [part for part in self._parts if isinstance(part, Tensor)]
        # Weights that were made in inference mode do not tell when they change.
        self._tells = not any(weight.is_inference() for weight in self._weights)
        self._state = self._tells and self._numbers()

    def sees_the_same(self, *modules: nn.Module) -> bool:
        """Whether these are the modules, and nothing in them has changed."""
        if len(modules) != len(self.modules) or not all(map(is_, modules, self.modules)):
            return False
        parts = self._found()
        same = len(parts) == len(self._parts) and all(map(is_, parts, self._parts))
        return same and self._tells and self._numbers() == self._state

    def _found(self) -> list[Any]:
        return [*chain.from_iterable(map(dict.values, self._tables))]

    def _numbers(self) -> list[int]:
        """What changes when a weight does: by an operation on it, or because other numbers were put in its place."""
        return [*map(Tensor.data_ptr, self._weights), *[weight._version for weight in self._weights]]
