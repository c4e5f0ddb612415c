"""The norm behind each half of a layer, with the residual and the dropout that lead into it."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from minbert.encoder.dropout import kept


class _AddNorm(torch.autograd.Function):
    """`LN(residual + dropout(branch))` in one piece: its way back needs the sum and the mask, nothing else."""

    @staticmethod
    def forward(
        ctx: Any, residual: Tensor, branch: Tensor, weight: Tensor, bias: Tensor, eps: float, share: float
    ) -> Tensor:
        if share:
            mask, ctx.scale = kept(branch.numel(), share, branch)
            mask = mask.view_as(branch)
            total = torch.addcmul(residual, branch, mask, value=ctx.scale)
        else:
            mask, total = None, residual + branch
        out, mean, deviation = torch.native_layer_norm(total, weight.shape, weight, bias, eps)
        ctx.save_for_backward(total, mean, deviation, weight, bias, mask)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        total, mean, deviation, weight, bias, mask = ctx.saved_tensors
        wanted = [any(ctx.needs_input_grad[:2]), *ctx.needs_input_grad[2:4]]
        to_total, to_weight, to_bias = torch.ops.aten.native_layer_norm_backward(
            grad, total, weight.shape, mean, deviation, weight, bias, wanted
        )
        to_branch = to_total if mask is None else (to_total * mask).mul_(ctx.scale)
        return to_total, to_branch, to_weight, to_bias, None, None


class AddNorm(nn.LayerNorm):
    """`LN(residual + dropout(branch))`; sums in float32, whatever the type of the input.

    Args:
        width: of a vector.
        eps: added to the variance.
        share: of the branch's elements that are dropped in training.

    Source: Devlin et al. 2018, section 3 (post-norm, as in Vaswani et al. 2017, section 5.4).
    """

    def __init__(self, width: int, eps: float, share: float) -> None:
        super().__init__(width, eps=eps)
        self.share = share

    def forward(self, residual: Tensor, branch: Tensor) -> Tensor:  # type: ignore[override]
        """Both (rows, width)."""
        if torch.is_grad_enabled():
            share = self.share if self.training else 0.0
            return _AddNorm.apply(residual, branch, self.weight, self.bias, self.eps, share)  # type: ignore[no-any-return, no-untyped-call]
        return F.layer_norm(residual + branch, self.normalized_shape, self.weight, self.bias, self.eps)
