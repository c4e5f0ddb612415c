"""Without gradients: layers as one straight line of fused calls.

In this line a layer is four products, which add bias and residual and apply the activation themselves, attention, and
two norms: nothing is written that the next call would only read once. Their tensors stand in one list, made when
weights have changed. In bfloat16 one short sequence alone goes from its ids to the end in one graph (alone.py).
(Whoever hooks on to a layer to look inside calls the encoder without a precision: then every layer is called.)
"""

from collections import Counter
from itertools import chain
from operator import is_
from typing import Any

import torch
from torch import Tensor, nn

from minbert.encoder.alone import LONGEST, PER_LAYER, Graph, Kind, Wanted, graph_of, rows_for
from minbert.encoder.attention import FEW, attend
from minbert.encoder.embeddings import Embeddings
from minbert.encoder.layer import Layer
from minbert.encoder.layout import Layout
from minbert.encoder.linear import fused_product, fused_sum, lays_out
from minbert.shapes import Hidden, Vectors
from minbert.text.packed import Packed

ACTIVATIONS = {"gelu": ("gelu", "none"), "gelu_new": ("gelu", "tanh"), "relu": ("relu", "")}
"""What the matrix library calls the activations of `config.json`."""

OFTEN = 32
"""So many single sequences of a length go through the layers call by call: a graph takes as long to make as some 300
of them save."""

LIGHT = 1 << 25
"""The most numbers in layers that graphs are made for: each graph holds them once more, and the more of them, the less
the calls count for."""


def goes_straight(device: torch.device, precision: torch.dtype | None) -> bool:
    """Whether no way back is needed, and the matrix library works there in this precision."""
    return not torch.is_grad_enabled() and lays_out(device, precision)


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


class StraightLine:
    """The layers of an encoder without dropout and without the tasks' adapters."""

    def __init__(self) -> None:
        self._watch = Watch()
        self._kind = Kind(0, 0.0, "", "")
        self._tensors: dict[torch.dtype, list[Tensor]] = {}
        self._watch_below = Watch()
        self._asked: Counter[tuple[int, Wanted]] = Counter()
        self._graphs: dict[tuple[int, Wanted], Graph | None] = {}

    def __call__(
        self, hidden: Hidden, layers: nn.ModuleList, layout: Layout, firsts: Tensor | None = None
    ) -> Hidden | Vectors:
        """What the layers make of the tokens of a pack, or of these only: where each sequence's first one stands."""
        self._look(layers)
        dtype = hidden.dtype
        if dtype not in self._tensors:
            self._tensors[dtype] = [tensor for layer in layers for tensor in _tensors(layer, dtype)]
        tensors = self._tensors[dtype]
        # For a few tokens, the last layer's calls count for more than what it does.
        skips = firsts is not None and len(hidden) > FEW
        if skips:
            tensors = tensors[:-PER_LAYER]
        hidden = _through(hidden, layout, tensors, self._kind)
        if firsts is None:
            return hidden
        top: Vectors = layers[-1](hidden, layout, firsts) if skips else hidden.index_select(0, firsts)
        return top

    def alone(
        self, packed: Packed, embeddings: Embeddings, layers: nn.ModuleList, precision: torch.dtype, wanted: Wanted
    ) -> Tensor | None:
        """The same from the ids of a pack of one sequence, in one graph (alone.py); None where that does not pay.

        (In float32 it does not: there the matrix library has little to prepare.)
        """
        rows = rows_for(packed.lengths[0])
        if precision != torch.bfloat16 or rows > min(LONGEST, len(embeddings.position.weight)):
            return None
        self._look(layers)
        if not self._watch_below.sees_the_same(embeddings):
            self._watch_below = Watch(embeddings)
            self._asked.clear()
            self._graphs.clear()
        key = (rows, wanted)
        if key not in self._graphs:
            self._asked[key] += 1
            if self._asked[key] <= OFTEN:
                return None
            self._graphs[key] = self._graph(rows, embeddings, layers, wanted)
        graph = self._graphs[key]
        return None if graph is None else graph(packed.ids, packed.segments)

    def __getstate__(self) -> dict[str, Any]:
        """What a copy of the encoder takes over: nothing, it makes its own."""
        return StraightLine().__dict__

    def _look(self, layers: nn.ModuleList) -> None:
        """Forgets what was made of the layers' weights where one has changed, or another stands in its place."""
        if not self._watch.sees_the_same(layers):
            self._watch, self._kind = Watch(layers), _kind(layers[-1])
            self._tensors.clear()
            self._asked.clear()
            self._graphs.clear()

    def _graph(self, rows: int, embeddings: Embeddings, layers: nn.ModuleList, wanted: Wanted) -> Graph | None:
        if sum(weight.numel() for weight in layers.parameters()) > LIGHT:
            return None
        tables = [table.detach() for table in embeddings.tables()]
        tensors = [tensor for layer in layers for tensor in _tensors(layer, torch.bfloat16, laid_out=False)]
        return graph_of(rows, tables, tensors, self._kind, wanted)


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


def _tensors(layer: nn.Module, dtype: torch.dtype, laid_out: bool = True) -> list[Tensor]:
    """Weights and bias of each part, in the order of alone.py; those of products laid out, or as they are."""
    assert isinstance(layer, Layer)
    attention = layer.attention
    parts = (attention.projection, attention.output, layer.up, layer.down)
    projection, output, up, down = (part.laid_out(dtype) if laid_out else part.as_it_is(dtype) for part in parts)
    first_norm, norm = ((norm.weight.detach(), norm.bias.detach()) for norm in (layer.attention_norm, layer.norm))
    return [*projection, *output, *first_norm, *up, *down, *norm]
