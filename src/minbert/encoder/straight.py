"""Without gradients: layers as one straight line of fused calls.

In this line a layer is four products, which add bias and residual and apply the activation themselves, attention, and
two norms: nothing is written that the next call would only read once. Their tensors stand in one list, made when
weights have changed. One sequence goes through all layers in one call (alone.py).
(Whoever hooks on to a layer to look inside calls the encoder without a precision: then every layer is called.)
"""

from operator import is_
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from minbert.encoder.alone import PER_LAYER, all_layers
from minbert.encoder.attention import FEW, attend, stands_alone
from minbert.encoder.layer import Layer
from minbert.encoder.layout import Layout
from minbert.encoder.linear import fused_product, fused_sum, lays_out
from minbert.shapes import Hidden, Vectors

ACTIVATIONS = {"gelu": ("gelu", "none"), "gelu_new": ("gelu", "tanh"), "relu": ("relu", "")}
"""What the matrix library calls the activations of `config.json`."""


class Kind(NamedTuple):
    """What all layers share: `eps` of the norms; name and form of the activation in the matrix library."""

    heads: int
    eps: float
    activation: str
    form: str


def goes_straight(hidden: Hidden) -> bool:
    """Whether these tokens need no way back, and lie where the matrix library works."""
    return not torch.is_grad_enabled() and lays_out(hidden)


class StraightLine:
    """The layers of an encoder without dropout and without the tasks' adapters."""

    def __init__(self) -> None:
        self._weights: list[Tensor] = []
        self._state: list[int] = []
        self._tensors: dict[torch.dtype, list[Tensor]] = {}

    def __call__(
        self, hidden: Hidden, layers: nn.ModuleList, layout: Layout, firsts: Tensor | None = None
    ) -> Hidden | Vectors:
        """What the layers make of the tokens of a pack, or of these only: where each sequence's first one stands."""
        tensors, kind = self._made(layers, hidden.dtype), _kind(layers[-1])
        # For a few tokens, the last layer's calls count for more than what it does.
        skips = firsts is not None and len(hidden) > FEW
        if skips:
            tensors = tensors[:-PER_LAYER]
        at_once = all_layers() if stands_alone(layout, len(hidden)) else None
        hidden = at_once(hidden, tensors, *kind) if at_once else _one_by_one(hidden, layout, tensors, kind)
        if firsts is None:
            return hidden
        top: Vectors = layers[-1](hidden, layout, firsts) if skips else hidden.index_select(0, firsts)
        return top

    def __getstate__(self) -> dict[str, Any]:
        """What a copy of the encoder takes over: nothing, it makes its own."""
        return StraightLine().__dict__

    def _made(self, layers: nn.ModuleList, dtype: torch.dtype) -> list[Tensor]:
        """The layers' tensors, anew where a weight has changed or another stands in its place."""
        weights = _weights(layers)
        same = len(weights) == len(self._weights) and all(map(is_, weights, self._weights))
        if not same or _state(weights) != self._state:
            # Weights that were made in inference mode do not tell when they change.
            tell = not any(weight.is_inference() for weight in weights)
            self._weights, self._tensors = weights if tell else [], {}
            self._state = _state(self._weights)
        if dtype not in self._tensors:
            self._tensors[dtype] = [tensor for layer in layers for tensor in _tensors(layer, dtype)]
        return self._tensors[dtype]


def _one_by_one(hidden: Hidden, layout: Layout, tensors: list[Tensor], kind: Kind) -> Hidden:
    """What the layers make of the tokens of a pack."""
    for at in range(0, len(tensors), PER_LAYER):
        pairs = (tensors[i : i + 2] for i in range(at, at + PER_LAYER, 2))
        projection, output, attention_norm, up, down, norm = pairs
        projected = fused_product(hidden, *projection, "none", [], "").view(len(hidden), 3, kind.heads, -1)
        mixed = attend(projected, layout).flatten(1)
        attended = _norm(fused_sum(mixed, hidden, *output, "add"), attention_norm, kind.eps)
        inner = fused_product(attended, *up, kind.activation, [], kind.form)
        hidden = _norm(fused_sum(inner, attended, *down, "add"), norm, kind.eps)
    return hidden


def _norm(x: Tensor, weights: list[Tensor], eps: float) -> Tensor:
    scale, shift = weights
    return torch.layer_norm(x, scale.shape, scale, shift, eps)


def _kind(layer: nn.Module) -> Kind:
    assert isinstance(layer, Layer)
    return Kind(layer.attention.heads, layer.norm.eps, *ACTIVATIONS[layer.activation])


def _tensors(layer: nn.Module, dtype: torch.dtype) -> list[Tensor]:
    """Weights (those of products laid out) and bias of each part, as `all_layers` takes them."""
    assert isinstance(layer, Layer)
    attention, norms = layer.attention, (layer.attention_norm, layer.norm)
    projection, output, up, down = (
        part.laid_out(dtype) for part in (attention.projection, attention.output, layer.up, layer.down)
    )
    first_norm, norm = ((norm.weight, norm.bias) for norm in norms)
    return [*projection, *output, *first_norm, *up, *down, *norm]


def _weights(layers: nn.ModuleList) -> list[Tensor]:
    """All of them. By the modules' own tables: a module looks parts up in Python, and for a short text that counts."""
    modules: list[Any] = [*layers._modules.values()]
    for module in modules:
        modules += module._modules.values()
    return [weight for module in modules if module._parameters for weight in module._parameters.values()]


def _state(weights: list[Tensor]) -> list[int]:
    """What changes when a weight does: by an operation on it, or because other numbers were put in its place."""
    return [*map(Tensor.data_ptr, weights), *[weight._version for weight in weights]]
