"""One sequence without gradients: from its ids to the end in one call.

Of the time that one short text takes, less than half are products; most of the others are calls. So TorchScript
compiles this function: it needs no compiler on the user's machine, and runs the same operations without Python between
them. (torch means to give it up some day. Where it is not there, such a sequence takes the way that all packs take, to
the same end.) In bfloat16 a graph for each length is faster yet (graph.py).
"""

import inspect
import sys
import warnings
from collections.abc import Callable
from functools import cache
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

PER_LAYER = 12
"""Tensors: weights and bias of projection, output, attention's norm, up, down, and the norm behind them."""

Wanted = Literal["tokens", "first", "mean"]
"""All tokens' vectors, those of first tokens, or means."""


def _alone(
    ids: Tensor,
    positions: Tensor,
    segments: Tensor,
    tables: list[Tensor],
    tensors: list[Tensor],
    heads: int,
    eps: float,
    activation: str,
    form: str,
    wanted: str,
    per_layer: int = PER_LAYER,
) -> Tensor:
    word, position, segment, scale, shift = tables
    total = torch.embedding(word, ids) + torch.embedding(position, positions) + torch.embedding(segment, segments)
    hidden = torch.layer_norm(total, scale.shape, scale, shift, eps).to(tensors[1].dtype)
    for at in range(0, len(tensors), per_layer):
        layer = tensors[at : at + per_layer]
        to_qkv, qkv_bias, to_out, out_bias, first_scale, first_shift = layer[:6]
        to_up, up_bias, to_down, down_bias, scale, shift = layer[6:]
        qkv = torch.ops.mkldnn._linear_pointwise(hidden, to_qkv, qkv_bias, "none", [], "")
        q, k, v = qkv.view(1, hidden.shape[0], 3, heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape_as(hidden)
        attended = torch.ops.mkldnn._linear_pointwise(mixed, hidden, to_out, out_bias, "add")
        attended = torch.layer_norm(attended, first_scale.shape, first_scale, first_shift, eps)
        inner = torch.ops.mkldnn._linear_pointwise(attended, to_up, up_bias, activation, [], form)
        hidden = torch.ops.mkldnn._linear_pointwise(inner, attended, to_down, down_bias, "add")
        hidden = torch.layer_norm(hidden, scale.shape, scale, shift, eps)
    if wanted == "mean":
        return hidden.mean(0, True, dtype=torch.float32)
    return hidden[:1] if wanted == "first" else hidden


@cache
def all_at_once() -> Callable[..., Tensor] | None:
    """What takes one sequence from its ids to the end; None where torch cannot compile it.

    Its arguments: ids, positions and segments, each (tokens,); the tables of words, positions and segments, weights and
    bias of the norm behind them; `PER_LAYER` tensors for each layer, the products' weights laid out; the number of
    heads; `eps` of the norms; name and form of the activation in the matrix library; what is wanted: the vectors of all
    `tokens`, (tokens, width), that of the `first`, or their `mean`, (1, width), which comes in float32.
    """
    if not hasattr(torch, "jit") or sys.version_info >= (3, 14):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            # Without what may stand around it: in tests every function checks the shapes that it is given.
            compiled: Callable[..., Tensor] = torch.jit.script(inspect.unwrap(_alone))
        except OSError:
            # TorchScript reads the source, and this is an installation without sources.
            return None
    return compiled
