"""A linear layer with float32 weights that computes in the type of its input."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

_plain = ContextVar("plain", default=False)
_there = torch.backends.mkldnn.is_available()
_pointwise: Any = torch.ops.mkldnn._linear_pointwise if _there else None


@contextmanager
def plain_products() -> Iterator[None]:
    """Within, no weights are laid out anew: the product is torch's usual one."""
    token = _plain.set(True)
    try:
        yield
    finally:
        _plain.reset(token)


class _Product(torch.autograd.Function):
    """`x W^T + b`, with `W` and `b` rounded to the type of `x` here and again on the way back, not kept in between."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return F.linear(x, weight.to(x.dtype), bias.to(x.dtype))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        to_x, to_weight, to_bias = ctx.needs_input_grad
        return (
            grad @ weight.to(grad.dtype) if to_x else None,
            (grad.t() @ x).to(weight.dtype) if to_weight else None,
            grad.sum(0).to(weight.dtype) if to_bias else None,
        )


class Linear(nn.Linear):
    """`x W^T + b` in the type of `x`; the weights themselves stay float32.

    Without gradients, on a processor, the weights are rounded once and laid out as the matrix library wants them, until
    they change. (torch does not count changes that are made through `.data`: do not use it on a layer that has run.)
    """

    _packed: tuple[tuple[Any, ...], Tensor, Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """`x`, (rows, in), to (rows, out)."""
        # A module looks its tensors up in Python: for a short text that counts.
        weight, bias = self.weight, self.bias
        if torch.is_grad_enabled():
            return _Product.apply(x, weight, bias)  # type: ignore[no-any-return, no-untyped-call]
        if not _packs(x) or weight.is_inference():
            # Weights that were made in inference mode do not tell when they change.
            return F.linear(x, weight.to(x.dtype), bias.to(x.dtype))
        key = (x.dtype, weight.data_ptr(), weight._version, bias.data_ptr(), bias._version)
        if self._packed is None or self._packed[0] != key:
            laid_out = torch.ops.mkldnn._reorder_linear_weight(weight.detach().to(x.dtype))
            self._packed = (key, laid_out, bias.detach().to(x.dtype))
        return _pointwise(x, *self._packed[1:], "none", [], "")  # type: ignore[no-any-return]

    def whole(self) -> Tensor:
        """W, for whoever needs it in parts."""
        return self.weight

    def __getstate__(self) -> dict[str, Any]:
        """What a copy of the layer takes over: not the weights as the matrix library wants them."""
        return {**self.__dict__, "_packed": None}


def _packs(x: Tensor) -> bool:
    """Whether torch's matrix library for processors is there for this input."""
    return _there and x.device.type == "cpu" and x.dtype in (torch.float32, torch.bfloat16) and not _plain.get()
