"""The activation between the two products of a layer's feed-forward part."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from minbert.encoder.hardware import OWN_WAYS

ACTIVATIONS = {"gelu": ("gelu", "none"), "gelu_new": ("gelu", "tanh"), "relu": ("relu", "")}
"""What torch and its matrix library call the activations that `config.json` names, and their forms."""


class _Gelu(torch.autograd.Function):
    """GELU with a way back that writes over what comes to it.

    That is what the product behind it has just made, and nobody else holds it: half the memory that a way back to new
    room would go through.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, form: str) -> Tensor:
        ctx.form = form
        ctx.save_for_backward(x)
        return F.gelu(x, approximate=form)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (x,) = ctx.saved_tensors
        return torch.ops.aten.gelu_backward.grad_input(grad, x, approximate=ctx.form, grad_input=grad), None


def activated(x: Tensor, name: str) -> Tensor:
    """`act(x)`, by the activation's name in `config.json`.

    Args:
        x: what a product has made; with a way back, the result goes into one product and nowhere else.
        name: `gelu` (exact), `gelu_new` (by tanh) or `relu`.

    Source: Hendrycks & Gimpel 2016.
    """
    kind, form = ACTIVATIONS[name]
    if kind == "relu":
        return F.relu(x)
    if x.device.type not in OWN_WAYS:
        return F.gelu(x, approximate=form)
    return _Gelu.apply(x, form)  # type: ignore[no-any-return, no-untyped-call]
