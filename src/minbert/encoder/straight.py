"""Without gradients: layers as one straight line of fused calls.

In this line a layer is four products, which add bias and residual and apply the activation themselves, attention, and
two norms: nothing is written that the next call would only read once. Their tensors stand in one list, made when
weights have changed. One sequence alone goes from its ids to the end in one call (alone.py).
(Whoever hooks on to a layer to look inside calls the encoder without a precision: then every layer is called.)
"""

from itertools import chain
from operator import is_
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from minbert.encoder.alone import PER_LAYER, all_at_once
from minbert.encoder.attention import FEW, attend
from minbert.encoder.layer import Layer
from minbert.encoder.layout import Layout, rounded
from minbert.encoder.linear import fused_product, fused_sum, lays_out
from minbert.shapes import Hidden, Vectors
from minbert.text.packed import Packed

ACTIVATIONS = {"gelu": ("gelu", "none"), "gelu_new": ("gelu", "tanh"), "relu": ("relu", "")}
"""What the matrix library calls the activations of `config.json`."""

Wanted = Literal["tokens", "first", "mean"]
"""All tokens' vectors, those of first tokens, or means."""

OFTEN = 16
"""So many single sequences go through the layers call by call: to compile that takes as long as 200 of them save."""


class Kind(NamedTuple):
    """What all layers share: `eps` of the norms; name and form of the activation in the matrix library."""

    heads: int
    eps: float
    activation: str
    form: str


def goes_straight(device: torch.device, precision: torch.dtype | None) -> bool:
    """Whether no way back is needed, and the matrix library works there in this precision."""
    return not torch.is_grad_enabled() and lays_out(device, precision)


class StraightLine:
    """The layers of an encoder without dropout and without the tasks' adapters."""

    def __init__(self) -> None:
        self._asked = 0
        self._layers: nn.ModuleList | None = None
        self._kind = Kind(0, 0.0, "", "")
        self._tables: list[dict[str, Any]] = []
        self._parts: list[Any] = []
        self._weights: list[Tensor] = []
        self._state: list[int] = []
        self._tensors: dict[torch.dtype, list[Tensor]] = {}

    def __call__(
        self, hidden: Hidden, layers: nn.ModuleList, layout: Layout, firsts: Tensor | None = None
    ) -> Hidden | Vectors:
        """What the layers make of the tokens of a pack, or of these only: where each sequence's first one stands."""
        tensors, kind = self._made(layers, hidden.dtype)
        # For a few tokens, the last layer's calls count for more than what it does.
        skips = firsts is not None and len(hidden) > FEW
        if skips:
            tensors = tensors[:-PER_LAYER]
        hidden = _through(hidden, layout, tensors, kind)
        if firsts is None:
            return hidden
        top: Vectors = layers[-1](hidden, layout, firsts) if skips else hidden.index_select(0, firsts)
        return top

    def alone(
        self, packed: Packed, tables: list[Tensor], layers: nn.ModuleList, precision: torch.dtype, wanted: Wanted
    ) -> Tensor | None:
        """The same from the ids of a pack of one sequence, in one call (alone.py); None where that cannot be."""
        self._asked += 1
        rows = packed.lengths[0]
        # A longer one gains little; and rows of padding, for the matrix library's sake, must not be attended to.
        if self._asked <= OFTEN or rows > FEW or rounded(rows) != rows or (at_once := all_at_once()) is None:
            return None
        tensors, kind = self._made(layers, precision)
        return at_once(packed.ids, packed.positions, packed.segments, tables, tensors, *kind, wanted)

    def __getstate__(self) -> dict[str, Any]:
        """What a copy of the encoder takes over: nothing, it makes its own."""
        return StraightLine().__dict__

    def _made(self, layers: nn.ModuleList, dtype: torch.dtype) -> tuple[list[Tensor], Kind]:
        """The layers' tensors and kind, anew where a weight has changed or another stands in its place."""
        parts = [*chain.from_iterable(map(dict.values, self._tables))]
        if layers is not self._layers or len(parts) != len(self._parts) or not all(map(is_, parts, self._parts)):
            self._stand(layers)
        if (state := _state(self._weights)) != self._state or not state:
            self._state, self._tensors = state, {}
        if dtype not in self._tensors:
            self._tensors[dtype] = [tensor for layer in layers for tensor in _tensors(layer, dtype)]
        return self._tensors[dtype], self._kind

    def _stand(self, layers: nn.ModuleList) -> None:
        """Notes which parts and weights the layers have, by the modules' own tables.

        (A module looks its parts up in Python, and for a short text that counts.)
        """
        modules: list[Any] = [layers]
        for module in modules:
            modules += module._modules.values()
        self._tables = [table for module in modules for table in (module._modules, module._parameters) if table]
        self._parts = [part for table in self._tables for part in table.values()]
        weights = [part for part in self._parts if isinstance(part, Tensor)]
        # Weights that were made in inference mode do not tell when they change.
        self._weights = [] if any(weight.is_inference() for weight in weights) else weights
        self._layers, self._kind, self._state = layers, _kind(layers[-1]), []


def _through(hidden: Hidden, layout: Layout, tensors: list[Tensor], kind: Kind) -> Hidden:
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


def _state(weights: list[Tensor]) -> list[int]:
    """What changes when a weight does: by an operation on it, or because other numbers were put in its place."""
    return [*map(Tensor.data_ptr, weights), *[weight._version for weight in weights]]
