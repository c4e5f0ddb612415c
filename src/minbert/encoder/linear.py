"""A linear layer with float32 weights that computes in the type of its input."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from minbert.encoder.drawing import Drawn
from minbert.encoder.hardware import has_slow_products
from minbert.encoder.split import Apart, apart

_plain = ContextVar("plain", default=False)
_there = torch.backends.mkldnn.is_available()
fused_product: Any = torch.ops.mkldnn._linear_pointwise.default if _there else None
"""`act(x W^T + b)` over a W that is laid out."""

fused_sum: Any = torch.ops.mkldnn._linear_pointwise.binary if _there else None
"""`x W^T + b + y` over the same."""


@contextmanager
def plain_products() -> Iterator[None]:
    """Within, no weights are laid out anew: the product is torch's usual one."""
    token = _plain.set(True)
    try:
        yield
    finally:
        _plain.reset(token)


class _Product(torch.autograd.Function):
    """`x W^T + b`, with `W` and `b` rounded to the type of `x`; W already is."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, rounded: Tensor, owners: Apart | None) -> Tensor:
        ctx.dtype, ctx.apart = weight.dtype, owners
        ctx.save_for_backward(x, rounded)
        there, low = lays_out(x.device, x.dtype), x.dtype == torch.bfloat16
        ctx.ours = there and not low and has_slow_products()
        if ctx.ours or (there and low):
            # torch's own adds the bias in a pass before the product: a tenth of the time in bfloat16.
            return fused_product(x, rounded, bias.to(x.dtype), "none", [], "")  # type: ignore[no-any-return]
        return F.linear(x, rounded, bias.to(x.dtype))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, rounded = ctx.saved_tensors
        to_x, to_weight, to_bias, *_ = ctx.needs_input_grad
        back = _times(grad, rounded, ctx) if to_x else None
        if ctx.apart is None:
            to_own = (_of_weight(grad, x, ctx) if to_weight else None, _of_bias(grad, ctx) if to_bias else None)
            return back, *to_own, None, None
        split, weight, bias = ctx.apart
        for task, rows in split.rows(len(grad)):
            if to_weight:
                split.by_task.add(task, weight, _of_weight(*_of_task(grad, x, rows), ctx))
            if to_bias:
                split.by_task.add(task, bias, _of_bias(grad[rows], ctx))
        return back, None, None, None, None


def _of_weight(grad: Tensor, x: Tensor, ctx: Any) -> Tensor:
    return _times(grad.t(), x, ctx).to(ctx.dtype)


def _times(left: Tensor, right: Tensor, ctx: Any) -> Tensor:
    """`left @ right`, by the matrix library that was chosen on the way there."""
    if ctx.ours:
        return fused_product(left, right.t(), None, "none", [], "")  # type: ignore[no-any-return]
    return left @ right


FEW_SIZES = 64
"""Of what the rows of a task are made a multiple."""


def _of_task(grad: Tensor, x: Tensor, rows: slice) -> tuple[Tensor, Tensor]:
    """Rows of one task, and zeros in the narrower of the two where it takes in rows of the next.

    Each number of rows costs a processor's matrix library a plan, which takes longer than the product.
    """
    if grad.device.type != "cpu":
        return grad[rows], x[rows]
    count = rows.stop - rows.start
    size = min(-(-count // FEW_SIZES) * FEW_SIZES, len(grad)) if count > FEW_SIZES else count
    begin = min(rows.start, len(grad) - size)
    whole, around = slice(begin, begin + size), (0, 0, rows.start - begin, begin + size - rows.stop)
    if grad.shape[1] < x.shape[1]:
        return F.pad(grad[rows], around), x[whole]
    return grad[whole], F.pad(x[rows], around)


def _of_bias(grad: Tensor, ctx: Any) -> Tensor:
    return grad.sum(0).to(ctx.dtype)


class Linear(Drawn, nn.Linear):
    """`x W^T + b` in the type of `x`; the weights themselves stay float32.

    The weights are rounded once, and without gradients, on a processor, laid out as the matrix library wants them,
    until they change. (torch does not count operations on `.data`: do not use them on a layer that has run.)
    """

    _packed: tuple[tuple[Any, ...], dict[torch.dtype, tuple[Tensor, Tensor]]] | None = None
    _rounded: tuple[tuple[Any, ...], Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """`x`, (rows, in), to (rows, out)."""
        if torch.is_grad_enabled():
            given = (x, self.weight, self.bias, self._in(x.dtype), apart(self.weight, self.bias))
            return _Product.apply(*given)  # type: ignore[no-any-return, no-untyped-call]
        if not lays_out(x.device, x.dtype) or self.weight.is_inference():
            return F.linear(x, self.weight.to(x.dtype), self.bias.to(x.dtype))
        return fused_product(x, *self._kept(x.dtype), "none", [], "")  # type: ignore[no-any-return]

    def _in(self, dtype: torch.dtype) -> Tensor:
        """W in a type; the passes of one step share it."""
        weight = self.weight
        if weight.dtype == dtype or weight.is_inference():
            return weight.to(dtype)
        key = (dtype, weight.data_ptr(), weight._version)
        if self._rounded is None or self._rounded[0] != key:
            self._rounded = (key, weight.detach().to(dtype))
        return self._rounded[1]

    def laid_out(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """W and b rounded to a type, W as the matrix library wants it."""
        return self._kept(dtype)

    def as_it_is(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """W and b rounded to a type, without a way back."""
        return self.whole().detach().to(dtype), self.bias.detach().to(dtype)

    def _kept(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """The same of the layer's own W, without what LoRA adds to it."""
        # A module looks its tensors up in Python: for a short text that counts.
        weight, bias = self._parameters["weight"], self._parameters["bias"]
        assert weight is not None and bias is not None
        if weight.is_inference():
            # Weights that were made in inference mode do not tell when they change.
            return _laid_out(weight, dtype), bias.to(dtype)
        key = (weight.data_ptr(), weight._version, bias.data_ptr(), bias._version)
        if self._packed is None or self._packed[0] != key:
            self._packed = (key, {})
        packed = self._packed[1]
        if dtype not in packed:
            packed[dtype] = (_laid_out(weight, dtype), bias.detach().to(dtype))
        return packed[dtype]

    def whole(self) -> Tensor:
        """W, for whoever needs it in parts."""
        return self.weight

    def __getstate__(self) -> dict[str, Any]:
        """What a copy of the layer takes over: not the weights rounded, nor as the matrix library wants them."""
        return {**self.__dict__, "_packed": None, "_rounded": None}


def _laid_out(weight: Tensor, dtype: torch.dtype) -> Tensor:
    laid_out: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.detach().to(dtype))
    return laid_out


def lays_out(device: torch.device, dtype: torch.dtype | None) -> bool:
    """Whether weights are laid out for such an input: torch's matrix library for processors is there for it."""
    return _there and device.type == "cpu" and dtype in (torch.float32, torch.bfloat16) and not _plain.get()
