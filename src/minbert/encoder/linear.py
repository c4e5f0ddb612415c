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
        if torch.is_grad_enabled():
            return _Product.apply(x, self.weight, self.bias)  # type: ignore[no-any-return, no-untyped-call]
        if not _packs(x) or self.weight.is_inference():
            # Weights that were made in inference mode do not tell when they change.
            return F.linear(x, self.weight.to(x.dtype), self.bias.to(x.dtype))
        weight, bias = self._laid_out(x.dtype)
        return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")  # type: ignore[no-any-return]

    def _laid_out(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        key = (dtype, self.weight.data_ptr(), self.weight._version, self.bias.data_ptr(), self.bias._version)
        if self._packed is None or self._packed[0] != key:
            weight = torch.ops.mkldnn._reorder_linear_weight(self.weight.detach().to(dtype))
            self._packed = (key, weight, self.bias.detach().to(dtype))
        return self._packed[1:]

    def __getstate__(self) -> dict[str, Any]:
        """What a copy of the layer takes over: not the weights as the matrix library wants them."""
        return {**self.__dict__, "_packed": None}


def _packs(x: Tensor) -> bool:
    """Whether torch's matrix library for processors is there for this input."""
    known = x.device.type == "cpu" and x.dtype in (torch.float32, torch.bfloat16)
    return known and not _plain.get() and torch.backends.mkldnn.is_available()
