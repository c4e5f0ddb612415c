"""The norm behind each half of a layer, with the residual and the dropout that lead into it."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from minbert.encoder.dropout import Noise
from minbert.encoder.hardware import OWN_WAYS
from minbert.encoder.layout import layout_of
from minbert.encoder.split import Apart, Split, apart


class _AddNorm(torch.autograd.Function):
    """`LN(residual + dropout(branch))` in one piece: its way back needs the sum and the mask, nothing else."""

    @staticmethod
    def forward(
        ctx: Any,
        residual: Tensor,
        branch: Tensor,
        weight: Tensor,
        bias: Tensor,
        eps: float,
        mask: Tensor | None,
        factor: float,
        owners: Apart | None,
    ) -> Tensor:
        ctx.factor, ctx.apart = factor, owners
        total = residual + branch if mask is None else torch.addcmul(residual, branch, mask, value=factor)
        out, mean, deviation = torch.native_layer_norm(total, weight.shape, weight, bias, eps)
        ctx.save_for_backward(total, mean, deviation, weight, bias, mask)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        total, mean, deviation, weight, bias, mask = ctx.saved_tensors
        on, own = any(ctx.needs_input_grad[:2]), list(ctx.needs_input_grad[2:4])

        def back(rows: list[Tensor], wanted: list[bool]) -> tuple[Tensor | None, ...]:
            given = (*rows[:2], weight.shape, *rows[2:], weight, bias, wanted)
            found: tuple[Tensor | None, ...] = torch.ops.aten.native_layer_norm_backward(*given)
            return found

        split: Split | None = ctx.apart[0] if ctx.apart and any(own) else None
        rows = [grad, total, mean, deviation]
        to_total, *to_own = back(rows, [on, *([False, False] if split else own)])
        for task, mine in split.rows(len(grad)) if split else ():
            found = back([tensor[mine] for tensor in rows], [False, *own])[1:]
            for parameter, gradient in zip(ctx.apart[1:], found, strict=True):
                if split and gradient is not None:
                    split.by_task.add(task, parameter, gradient)
        to_branch = to_total
        if mask is not None and to_total is not None:
            to_branch = torch.addcmul(to_total.new_zeros(()), to_total, mask, value=ctx.factor)
        return to_total, to_branch, *to_own, None, None, None, None


class AddNorm(nn.LayerNorm):
    """`LN(residual + dropout(branch))`; its mean and variance in float32, whatever the type of the input and their sum.

    Args:
        width: of a vector.
        eps: added to the variance.
        share: of the branch's elements that are dropped in training.

    Source: Devlin et al. 2018, section 3 (post-norm, as in Vaswani et al. 2017, section 5.4).
    """

    def __init__(self, width: int, eps: float, share: float) -> None:
        super().__init__(width, eps=eps)
        self.share = share

    def forward(  # type: ignore[override]
        self, residual: Tensor, branch: Tensor, noise: Noise | None = None, firsts: bool = False
    ) -> Tensor:
        """Both (rows, width).

        Args:
            residual: what went into the half of the layer.
            branch: what came out of it.
            noise: for the dropout; None: from torch's default generator.
            firsts: a row per sequence, not per token.
        """
        dropping = self.training and self.share > 0
        if torch.is_grad_enabled() or dropping:
            mask, factor = None, 1.0
            if dropping:
                noise = noise or Noise(layout_of([1] * len(branch)), None, branch.device)
                mask, factor = noise.of_rows(branch, self.share, firsts)
            if branch.device.type not in OWN_WAYS:
                return self._plainly(residual, branch if mask is None else branch * mask * factor)
            owners = apart(self.weight, self.bias)
            return _AddNorm.apply(residual, branch, self.weight, self.bias, self.eps, mask, factor, owners)  # type: ignore[no-any-return, no-untyped-call]
        if branch.device.type not in OWN_WAYS:
            return self._plainly(residual, branch)
        return F.layer_norm(residual + branch, self.normalized_shape, self.weight, self.bias, self.eps)

    def _plainly(self, residual: Tensor, branch: Tensor) -> Tensor:
        """The same by operations that every device has, with the way back that torch makes."""
        total = residual + branch
        exact = total.to(self.weight.dtype)
        return F.layer_norm(exact, self.normalized_shape, self.weight, self.bias, self.eps).to(total.dtype)
