"""Dropout whose random bits cost little on a processor.

torch draws one random number per element, one after the other: an eighth of a training step. Sixteen bits per element
are enough, and numpy's SFC64 gives four elements a draw. Its seed is drawn from torch's default generator, so whoever
seeds torch fixes the masks.
"""

import numpy as np
import torch
from torch import Tensor

LEVELS = 1 << 16


def kept(count: int, share: float, like: Tensor) -> tuple[Tensor, float]:
    """A mask of ones and zeros, and the factor that makes up for the zeros.

    The mask has the type of what it will be multiplied with: a product of two types takes eight times as long.

    Args:
        count: elements.
        share: of zeros, above 0 and below 1; on a processor rounded to a multiple of 1/65,536.
        like: a tensor of the type and on the device that are wanted.

    Returns:
        (count,) and `1 / (1 - share)`.

    Source: Srivastava et al. 2014.
    """
    if like.device.type != "cpu":
        return like.new_empty(count).bernoulli_(1 - share), 1 / (1 - share)
    dropped = round(share * LEVELS)
    mask = torch.ge(_bits(count), dropped - LEVELS // 2, out=like.new_empty(count))
    return mask, LEVELS / (LEVELS - dropped)


def _bits(count: int) -> Tensor:
    """So many random int16."""
    seed = int(torch.randint(1 << 62, ()))
    draws = np.random.SFC64(seed).random_raw(-(-count // 4))
    return torch.from_numpy(draws.view(np.int16)[:count])
