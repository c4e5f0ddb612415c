"""Dropout whose random bits cost little on a processor.

torch draws one random number per element, one after the other: an eighth of a training step. Sixteen bits per element
are enough, and numpy's SFC64 gives four elements a draw. Its seed is drawn from torch's default generator, so whoever
seeds torch fixes the masks.
"""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEVELS = 1 << 16


class _Drop(torch.autograd.Function):
    """`x * keep * scale`, keeping one byte per element for the way back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, keep: Tensor, scale: float) -> Tensor:
        ctx.save_for_backward(keep)
        ctx.scale = scale
        return (x * keep).mul_(scale)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (keep,) = ctx.saved_tensors
        return (grad * keep).mul_(ctx.scale), None, None


class Dropout(nn.Module):
    """Sets a share of the elements to 0 in training and scales the others up.

    Args:
        share: 0 to below 1; on a processor rounded to a multiple of 1/65,536.

    Source: Srivastava et al. 2014.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """`x`, thinned out in training."""
        if not self.training or self.share == 0.0:
            return x
        if x.device.type != "cpu":
            return F.dropout(x, self.share)
        dropped = round(self.share * LEVELS)
        return _Drop.apply(x, _bits(x.numel()).view(x.shape) >= dropped - LEVELS // 2, LEVELS / (LEVELS - dropped))  # type: ignore[no-any-return, no-untyped-call]


def _bits(count: int) -> Tensor:
    """So many random int16."""
    seed = int(torch.randint(1 << 62, ()))
    draws = np.random.SFC64(seed).random_raw(-(-count // 4))
    return torch.from_numpy(draws.view(np.int16)[:count])
