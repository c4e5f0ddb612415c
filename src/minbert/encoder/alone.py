"""One sequence without gradients: all layers in one call.

Of the time that one short text takes, less than half are products; most of the others are calls. So TorchScript
compiles this function: it needs no compiler on the user's machine, and runs the same operations without Python between
them. (torch means to give it up some day. Where it is not there, such a sequence goes through the layers as all packs
do, to the same end.)
"""

import inspect
import sys
import warnings
from collections.abc import Callable
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from minbert.shapes import Hidden

PER_LAYER = 12
"""Tensors: weights and bias of projection, output, attention's norm, up, down, and the norm behind them."""


def _all_layers(
    hidden: Tensor,
    tensors: list[Tensor],
    heads: int,
    eps: float,
    activation: str,
    form: str,
    per_layer: int = PER_LAYER,
) -> Tensor:
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
    return hidden


@cache
def all_layers() -> Callable[[Hidden, list[Tensor], int, float, str, str], Hidden] | None:
    """What takes the tokens of one sequence through all layers; None where torch cannot compile it.

    Its arguments: the tokens, (tokens, width); `PER_LAYER` tensors for each layer, the products' weights laid out; the
    number of heads; `eps` of the norms; name and form of the activation in the matrix library.
    """
    if not hasattr(torch, "jit") or sys.version_info >= (3, 14):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        # Without what may stand around it: in tests every function checks the shapes that it is given.
        compiled: Callable[..., Hidden] = torch.jit.script(inspect.unwrap(_all_layers))
    return compiled
