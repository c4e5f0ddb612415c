"""A few tokens without gradients: all layers as one straight line of fused calls.

Of the time that one short text takes, less than half are products; most of the others are calls. In this line a layer
is four products, which add bias and residual and apply the activation themselves, one call for attention, two norms.
(Whoever hooks on to a layer to look inside calls the encoder without a precision: then every layer is called.)
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minbert.encoder.attention import FEW, attend
from minbert.encoder.layer import Layer
from minbert.encoder.layout import Layout
from minbert.encoder.linear import fused_product, fused_sum, lays_out
from minbert.encoder.norm import AddNorm
from minbert.shapes import Hidden

ACTIVATIONS = {"gelu": ("gelu", "none"), "gelu_new": ("gelu", "tanh"), "relu": ("relu", "")}
"""What the matrix library calls the activations of `config.json`."""


def goes_straight(hidden: Hidden) -> bool:
    """Whether these tokens are few enough, need no way back, and lie where the matrix library works."""
    return len(hidden) <= FEW and not torch.is_grad_enabled() and lays_out(hidden)


def straight(hidden: Hidden, layers: Iterable[nn.Module], layout: Layout) -> Hidden:
    """What the layers make of the tokens of a pack, one after the other, without dropout and without adapters."""
    dtype = hidden.dtype
    for layer in layers:
        assert isinstance(layer, Layer)
        attention = layer.attention
        projected = fused_product(hidden, *attention.projection.laid_out(dtype), "none", [], "")
        mixed = attend(projected.view(len(hidden), 3, attention.heads, -1), layout).flatten(1)
        attended = _normed(layer.attention_norm, fused_sum(mixed, hidden, *attention.output.laid_out(dtype), "add"))
        name, form = ACTIVATIONS[layer.activation]
        inner = fused_product(attended, *layer.up.laid_out(dtype), name, [], form)
        hidden = _normed(layer.norm, fused_sum(inner, attended, *layer.down.laid_out(dtype), "add"))
    return hidden


def _normed(norm: AddNorm, x: Tensor) -> Tensor:
    return F.layer_norm(x, norm.normalized_shape, norm.weight, norm.bias, norm.eps)
