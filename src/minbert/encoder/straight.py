"""Without gradients: layers as one straight line of fused calls.

In this line a layer is four products, which add bias and residual and apply the activation themselves, attention, and
two norms: nothing is written that the next call would only read once. Their tensors stand in one list, made when
weights have changed: of the time that one short text takes, less than half are products; most of the others are calls,
and what Python does between them.
(Whoever hooks on to a layer to look inside calls the encoder without a precision: then every layer is called.)
"""

from collections.abc import Sequence
from operator import is_
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from minbert.encoder.attention import FEW, attend, attend_alone, stands_alone
from minbert.encoder.layer import Layer
from minbert.encoder.layout import Layout
from minbert.encoder.linear import fused_product, fused_sum, lays_out
from minbert.encoder.norm import AddNorm
from minbert.shapes import Hidden, Vectors

ACTIVATIONS = {"gelu": ("gelu", "none"), "gelu_new": ("gelu", "tanh"), "relu": ("relu", "")}
"""What the matrix library calls the activations of `config.json`."""


class Step(NamedTuple):
    """A layer: each product's weights, laid out, with its bias; what `layer_norm` takes after its input."""

    projection: tuple[Tensor, Tensor]
    output: tuple[Tensor, Tensor]
    attention_norm: tuple[Any, ...]
    up: tuple[Tensor, Tensor]
    down: tuple[Tensor, Tensor]
    norm: tuple[Any, ...]
    heads: int
    activation: tuple[str, str]


def goes_straight(hidden: Hidden) -> bool:
    """Whether these tokens need no way back, and lie where the matrix library works."""
    return not torch.is_grad_enabled() and lays_out(hidden)


class StraightLine:
    """The layers of an encoder without dropout and without the tasks' adapters."""

    def __init__(self) -> None:
        self._weights: list[Tensor] = []
        self._state: list[int] = []
        self._steps: dict[torch.dtype, Sequence[Step]] = {}

    def __call__(
        self, hidden: Hidden, layers: nn.ModuleList, layout: Layout, firsts: Tensor | None = None
    ) -> Hidden | Vectors:
        """What the layers make of the tokens of a pack, or of these only: where each sequence's first one stands."""
        rows, steps = len(hidden), self._made(layers, hidden.dtype)
        # Rows of padding behind the tokens must not be attended to.
        alone = stands_alone(layout) and rows == layout.tokens[0]
        # For a few tokens, the last layer's calls count for more than what it does.
        skips = firsts is not None and rows > FEW
        for projection, output, attention_norm, up, down, norm, heads, (name, form) in steps[:-1] if skips else steps:
            projected = fused_product(hidden, *projection, "none", [], "").view(rows, 3, heads, -1)
            mixed = (attend_alone(projected) if alone else attend(projected, layout)).reshape(rows, -1)
            attended = torch.layer_norm(fused_sum(mixed, hidden, *output, "add"), *attention_norm)
            inner = fused_product(attended, *up, name, [], form)
            hidden = torch.layer_norm(fused_sum(inner, attended, *down, "add"), *norm)
        if firsts is None:
            return hidden
        top: Vectors = layers[-1](hidden, layout, firsts) if skips else hidden.index_select(0, firsts)
        return top

    def __getstate__(self) -> dict[str, Any]:
        """What a copy of the encoder takes over: nothing, it makes its own."""
        return StraightLine().__dict__

    def _made(self, layers: nn.ModuleList, dtype: torch.dtype) -> Sequence[Step]:
        """The steps, anew where a weight has changed or another stands in its place."""
        weights = _weights(layers)
        same = len(weights) == len(self._weights) and all(map(is_, weights, self._weights))
        if not same or _state(weights) != self._state:
            # Weights that were made in inference mode do not tell when they change.
            tell = not any(weight.is_inference() for weight in weights)
            self._weights, self._steps = weights if tell else [], {}
            self._state = _state(self._weights)
        if dtype not in self._steps:
            self._steps[dtype] = [_step(layer, dtype) for layer in layers]
        return self._steps[dtype]


def _step(layer: nn.Module, dtype: torch.dtype) -> Step:
    assert isinstance(layer, Layer)
    attention = layer.attention
    return Step(
        attention.projection.laid_out(dtype),
        attention.output.laid_out(dtype),
        _arguments(layer.attention_norm),
        layer.up.laid_out(dtype),
        layer.down.laid_out(dtype),
        _arguments(layer.norm),
        attention.heads,
        ACTIVATIONS[layer.activation],
    )


def _arguments(norm: AddNorm) -> tuple[Any, ...]:
    return norm.normalized_shape, norm.weight, norm.bias, norm.eps


def _weights(layers: nn.ModuleList) -> list[Tensor]:
    """All of them. By the modules' own tables: a module looks parts up in Python, and for a short text that counts."""
    modules: list[Any] = [*layers._modules.values()]
    for module in modules:
        modules += module._modules.values()
    return [weight for module in modules if module._parameters for weight in module._parameters.values()]


def _state(weights: list[Tensor]) -> list[int]:
    """What changes when a weight does: by an operation on it, or because other numbers were put in its place."""
    return [*map(Tensor.data_ptr, weights), *[weight._version for weight in weights]]
