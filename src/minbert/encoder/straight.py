"""Without gradients: layers as one straight line of fused calls.

In this line a layer is four products, which add bias and residual and apply the activation themselves, attention, and
two norms: nothing is written that the next call would only read once. Their tensors stand in one list, made when
weights have changed. One short sequence alone goes from its ids to the end in one call (alone.py, graph.py).
(Whoever hooks on to a layer to look inside calls the encoder without a precision: then every layer is called.)
"""

from collections import Counter
from collections.abc import Callable
from threading import Lock
from typing import Any

import torch
from torch import Tensor, nn

from minbert.encoder.activation import ACTIVATIONS
from minbert.encoder.alone import PER_LAYER, Wanted, all_at_once
from minbert.encoder.attention import FEW, attend
from minbert.encoder.embeddings import Embeddings
from minbert.encoder.graph import Graph, Kind, graph_of, rows_for
from minbert.encoder.layer import Layer
from minbert.encoder.layout import Layout, rounded
from minbert.encoder.linear import Linear, fused_product, fused_sum, lays_out
from minbert.encoder.watch import Watch
from minbert.shapes import Hidden, Vectors
from minbert.text.packed import Packed

OFTEN = 16
"""So many single sequences go through the layers call by call: to compile that takes as long as 200 of them save."""

OFTEN_OF_A_LENGTH = 32
"""The same before a graph is made for a length: that takes as long as some 300 of them save."""

LIGHT = 1 << 25
"""The most numbers in layers that graphs are made for: each graph holds them once more, and the more of them, the less
the calls count for."""

_making = Lock()
"""Held while tensors are looked up: packs may go abreast, and what is made of the weights is made once."""


def goes_straight(device: torch.device, precision: torch.dtype | None) -> bool:
    """Whether no way back is needed, and the matrix library works there in this precision."""
    return not torch.is_grad_enabled() and lays_out(device, precision)


class StraightLine:
    """The layers of an encoder without dropout and without the tasks' adapters."""

    def __init__(self) -> None:
        self._watch, self._watch_below = Watch(), Watch()
        self._kind = Kind(0, 0.0, "", "")
        self._tensors: dict[torch.dtype, list[Tensor]] = {}
        self._asked = 0
        self._lengths: Counter[tuple[int, Wanted]] = Counter()
        self._graphs: dict[tuple[int, Wanted], Graph | None] = {}

    def __call__(
        self, hidden: Hidden, layers: nn.ModuleList, layout: Layout, firsts: Tensor | None = None
    ) -> Hidden | Vectors:
        """What the layers make of the tokens of a pack, or of these only: where each sequence's first one stands."""
        with _making:
            self._look(layers)
            tensors = self._laid_out(layers, hidden.dtype)
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
        """The same from the ids of a pack of one sequence, in one call; None where that cannot be."""
        self._asked += 1
        tokens = packed.lengths[0]
        # A longer one gains little.
        if self._asked <= OFTEN or tokens > FEW:
            return None
        with _making:
            self._look(layers)
            low = precision == torch.bfloat16
            graph = self._graph(tokens, embeddings, layers, wanted) if low else None
            tensors = [] if graph else self._laid_out(layers, precision)
        if graph:
            return graph(packed.ids, packed.segments)
        # Rows of padding, for the matrix library's sake, must not be attended to.
        if rounded(tokens) != tokens or (at_once := all_at_once()) is None:
            return None
        given = (packed.ids, packed.positions, packed.segments, embeddings.tables())
        return at_once(*given, tensors, *self._kind, wanted)

    def __getstate__(self) -> dict[str, Any]:
        """What a copy of the encoder takes over: nothing, it makes its own."""
        return StraightLine().__dict__

    def _look(self, layers: nn.ModuleList) -> None:
        """Forgets what was made of the layers' weights where one has changed, or another stands in its place."""
        if not self._watch.sees_the_same(layers):
            self._watch, self._kind = Watch(layers), _kind(layers[-1])
            self._tensors.clear()
            self._forget_graphs()

    def _forget_graphs(self) -> None:
        self._lengths.clear()
        self._graphs.clear()

    def _laid_out(self, layers: nn.ModuleList, dtype: torch.dtype) -> list[Tensor]:
        if dtype not in self._tensors:
            self._tensors[dtype] = _tensors(layers, lambda part: part.laid_out(dtype))
        return self._tensors[dtype]

    def _graph(self, tokens: int, embeddings: Embeddings, layers: nn.ModuleList, wanted: Wanted) -> Graph | None:
        """The graph for sequences of such a length, once they have come often enough; None: there is none."""
        if not self._watch_below.sees_the_same(embeddings):
            self._watch_below = Watch(embeddings)
            self._forget_graphs()
        rows = rows_for(tokens)
        key = (rows, wanted)
        if key in self._graphs:
            return self._graphs[key]
        self._lengths[key] += 1
        if self._lengths[key] <= OFTEN_OF_A_LENGTH:
            return None
        fits = rows <= len(embeddings.position.weight)
        light = sum(weight.numel() for weight in layers.parameters()) <= LIGHT
        graph = self._recorded(rows, embeddings, layers, wanted) if fits and light else None
        self._graphs[key] = graph
        return graph

    def _recorded(self, rows: int, embeddings: Embeddings, layers: nn.ModuleList, wanted: Wanted) -> Graph | None:
        tables = [table.detach() for table in embeddings.tables()]
        tensors = _tensors(layers, lambda part: part.as_it_is(torch.bfloat16))
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


def _tensors(layers: nn.ModuleList, taken: Callable[[Linear], tuple[Tensor, Tensor]]) -> list[Tensor]:
    """Weights and bias of each part of each layer, in the order of alone.py; those of products as they are `taken`."""
    found: list[Tensor] = []
    for layer in layers:
        assert isinstance(layer, Layer)
        attention, norms = layer.attention, (layer.attention_norm, layer.norm)
        parts = (attention.projection, attention.output, layer.up, layer.down)
        projection, output, up, down = map(taken, parts)
        first_norm, norm = ((norm.weight.detach(), norm.bias.detach()) for norm in norms)
        found += [*projection, *output, *first_norm, *up, *down, *norm]
    return found
