"""Without gradients, one sequence in bfloat16: from its ids to the end in one graph.

Of the time that one short text takes, a quarter is arithmetic; the others are calls, and the matrix library's
preparation of each product. So torch records the way through the layers once for each length, and that library takes
its products over from the record, prepared. It needs no compiler on the user's machine. (The record is one of
TorchScript; where that has no such products, a sequence goes by alone.py, to the same end but for the rounding of
bfloat16. In float32, where the arithmetic counts for more, rows of padding would cost what a graph saves.)
"""

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from minbert.encoder.alone import PER_LAYER, Wanted

STEP = 16
"""The rows of a graph are a multiple of this: matrix units work on so many at once, and fewer would take as long."""

RUNS = 3
"""TorchScript looks on at the first run, changes the record for the second, and prepares the products in it."""

RECORDING = "_create_graph_by_tracing", "_create_function_from_graph"
"""What `torch.jit.trace` is made of. What that itself makes, with the weights in it, is kept until the process ends."""

NEAR = 0.05
"""How far a graph's answers may lie from the same calls', as a share: bfloat16 rounds to 1/256."""

Graph = Callable[[Tensor, Tensor], Tensor]
"""From the ids and segments of a sequence, each (tokens,), to what is wanted of it."""

_one_at_a_time = Lock()


class Kind(NamedTuple):
    """What all layers share: `eps` of the norms; name and form of the activation in the matrix library."""

    heads: int
    eps: float
    activation: str
    form: str


def rows_for(tokens: int) -> int:
    """The rows of the graph that takes a sequence of so many tokens."""
    return -(-tokens // STEP) * STEP


def graph_of(rows: int, tables: list[Tensor], tensors: list[Tensor], kind: Kind, wanted: Wanted) -> Graph | None:
    """What takes one sequence of up to so many tokens from its ids to the end; None where torch cannot make it.

    Args:
        rows: computed, a multiple of `STEP`, of which those behind the tokens are padding.
        tables: of words, positions and segments; weights and bias of the norm behind them.
        tensors: `PER_LAYER` for each layer, in the type in which it computes. The graph keeps these and the tables, so
            it holds as long as nothing changes in them.
        kind: of the layers.
        wanted: the vectors of all `tokens`, (tokens, width), that of the `first`, or their `mean`, (1, width), which
            comes in float32.
    """
    recorder, keeper = (getattr(torch._C, name, None) for name in RECORDING)
    if recorder is None or keeper is None or sys.version_info >= (3, 14):
        return None
    # Numbers, not what the record would make of them if they were asked for within.
    width, dtype = tensors[0].shape[1], tensors[0].dtype

    def way(ids: Tensor, segments: Tensor) -> Tensor:
        count = ids.shape[0]
        padded = [F.pad(part, (0, rows - count)) for part in (ids, segments)]
        hidden = _embedded(padded, tables, (rows, width), kind.eps).to(dtype)
        hidden = _layers(hidden, ids, tensors, (rows, width), kind)
        if wanted == "mean":
            return hidden[:count].mean(0, True, dtype=torch.float32)
        return hidden[:1] if wanted == "first" else hidden[:count]

    probe = torch.arange(rows - 1) % len(tables[0]), torch.zeros(rows - 1, dtype=torch.long)
    with _one_at_a_time, _products_prepared(), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            record, _ = recorder(way, probe, lambda _: "", True, False)
            graph: Graph = keeper("alone", record)
            for _ in range(RUNS):
                found = graph(*probe)
        except RuntimeError:
            # The matrix library cannot take something over that it was given: it says so in many ways.
            return None
        prepared = "FusionGroup" in str(torch._C._last_executed_optimized_graph())
        usual = way(*probe)
    # So a processor that nobody has tested is slow, not wrong.
    near = (found - usual).norm() <= NEAR * usual.norm()
    return graph if prepared and near else None


def _embedded(parts: list[Tensor], tables: list[Tensor], shape: tuple[int, int], eps: float) -> Tensor:
    (ids, segments), (word, position, segment, scale, shift) = parts, tables
    total = torch.embedding(word, ids) + position[: shape[0]] + torch.embedding(segment, segments)
    return torch.layer_norm(total, shape[1:], scale, shift, eps)


def _layers(hidden: Tensor, ids: Tensor, tensors: list[Tensor], shape: tuple[int, int], kind: Kind) -> Tensor:
    """What the layers make of as many rows as there are ids; those of padding behind them are not attended to."""
    count = ids.shape[0]
    for at in range(0, len(tensors), PER_LAYER):
        to_qkv, qkv_bias, to_out, out_bias, first_scale, first_shift = tensors[at : at + 6]
        to_up, up_bias, to_down, down_bias, scale, shift = tensors[at + 6 : at + PER_LAYER]
        qkv = F.linear(hidden, to_qkv, qkv_bias).view(1, shape[0], 3, kind.heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(q, k[:, :, :count], v[:, :, :count])
        attended = F.linear(mixed.transpose(1, 2).reshape(shape), to_out, out_bias) + hidden
        attended = torch.layer_norm(attended, shape[1:], first_scale, first_shift, kind.eps)
        inner = F.linear(attended, to_up, up_bias)
        active = F.relu(inner) if kind.activation == "relu" else F.gelu(inner, approximate=kind.form)
        lower = F.linear(active, to_down, down_bias) + attended
        hidden = torch.layer_norm(lower, shape[1:], scale, shift, kind.eps)
    return hidden


@contextmanager
def _products_prepared() -> Iterator[None]:
    """Within, what TorchScript records for the first time is given to the matrix library as far as it takes it."""
    before = torch.jit.onednn_fusion_enabled()
    torch.jit.enable_onednn_fusion(True)
    try:
        yield
    finally:
        torch.jit.enable_onednn_fusion(before)
