"""Dropout whose random bits cost little on a processor, and do not depend on what else stands in a pack.

torch draws one random number per element, one after the other: an eighth of a training step. Sixteen bits per element
are enough, and numpy's SFC64 gives four elements a draw.
"""

from collections.abc import Sequence
from copy import copy
from itertools import accumulate, pairwise

import numpy as np
import torch
from torch import Tensor

from minbert.encoder.layout import Layout

LEVELS = 1 << 16


class Noise:
    """Where dropout takes its bits from: each part of a pack has a stream of its own, and the masks it has alone.

    Args:
        layout: of the pack.
        seeds: one per part; None: drawn from torch's default generator, so whoever seeds torch fixes the masks.
        device: where the masks are wanted.

    Source: Srivastava et al. 2014.
    """

    def __init__(self, layout: Layout, seeds: Sequence[int] | None, device: torch.device) -> None:
        self.layout = layout
        if seeds is None:
            seeds = torch.randint(1 << 62, (len(layout.tokens),)).tolist()
        on_cpu = device.type == "cpu"
        self.streams = [np.random.SFC64(s) if on_cpu else torch.Generator(device).manual_seed(s) for s in seeds]

    def between(self, first: int, last: int, layout: Layout) -> "Noise":
        """The noise of the parts from `first` to before `last`, which have this layout; their streams go on."""
        found = copy(self)
        found.layout, found.streams = layout, self.streams[first:last]
        return found

    def of_rows(self, like: Tensor, share: float, firsts: bool = False) -> tuple[Tensor, float]:
        """A mask for a tensor with a row per token, or per sequence.

        Args:
            like: (rows, width); rows beyond the tokens are padding, and get zeros.
            share: of zeros, above 0 and below 1.
            firsts: a row per sequence.
        """
        rows = self.layout.sequences if firsts else self.layout.tokens
        mask, factor = self._kept([count * like.shape[1] for count in rows], share, like, like.numel())
        return mask.view_as(like), factor

    def of_weights(self, like: Tensor, share: float, heads: int, firsts: bool = False) -> tuple[list[Tensor], float]:
        """A mask for each group's attention weights, (sequences * heads, queries, length), and their factor.

        Args:
            like: whose type and place the masks have.
            share: of zeros, above 0 and below 1.
            heads: of the attention.
            firsts: one query a sequence.
        """
        shapes = [(g.count * heads, 1 if firsts else g.length, g.length) for g in self.layout.groups]
        sizes = [a * b * c for a, b, c in shapes]
        counts = [0] * len(self.layout.tokens)
        for group, size in zip(self.layout.groups, sizes, strict=True):
            counts[group.part] += size
        whole, factor = self._kept(counts, share, like, sum(counts))
        return [piece.view(shape) for piece, shape in zip(whole.split(sizes), shapes, strict=True)], factor

    def _kept(self, counts: Sequence[int], share: float, like: Tensor, size: int) -> tuple[Tensor, float]:
        """A mask of ones and zeros, (size,), and the factor that makes up for the zeros.

        The mask has the type of what it will be multiplied with: a product of two types takes eight times as long. On a
        processor the share is rounded to a multiple of 1/65,536.
        """
        mask = like.new_empty(size)
        dropped = round(share * LEVELS)
        bounds = list(accumulate(counts, initial=0))
        for stream, (start, stop) in zip(self.streams, pairwise(bounds), strict=True):
            if isinstance(stream, torch.Generator):
                mask[start:stop].bernoulli_(1 - share, generator=stream)
            else:
                draws = stream.random_raw(-(-(stop - start) // 4))
                bits = torch.from_numpy(draws.view(np.int16)[: stop - start])
                _compare(bits, dropped - LEVELS // 2, mask[start:stop])
        mask[bounds[-1] :] = 0
        return mask, (LEVELS / (LEVELS - dropped) if like.device.type == "cpu" else 1 / (1 - share))


def _compare(bits: Tensor, least: int, mask: Tensor) -> None:
    """Writes ones where the bits are at least so much, else zeros."""
    if mask.dtype != torch.bfloat16 or least == -LEVELS // 2:  # (below that there is no number of 16 bits)
        torch.ge(bits, least, out=mask)
        return
    # From one type to the other a comparison takes up to four times as long as where all have 16 bits.
    one = mask.new_ones(1).view(torch.int16).expand_as(bits)
    torch.ops.aten.threshold_backward(one, bits, least - 1, grad_input=mask.view(torch.int16))


def keep(x: Tensor, mask: Tensor, out: Tensor | None = None) -> Tensor:
    """`x` where a mask of the same type is above zero, else zeros.

    In 16 bits it is a choice between integers: on a processor half the time of a product, or of comparing numbers.
    """
    like = torch.int16 if x.dtype == torch.bfloat16 else x.dtype
    given = (x.view(like), mask.view(like), 0)
    if out is None:
        return torch.ops.aten.threshold_backward(*given).view(x.dtype)  # type: ignore[no-any-return]
    torch.ops.aten.threshold_backward(*given, grad_input=out.view(like))
    return out


def drop_rows(hidden: Tensor, share: float, noise: Noise | None) -> Tensor:
    """A tensor with a row per token, with a share of its numbers dropped; without noise as it is."""
    if noise is None or not share:
        return hidden
    mask, factor = noise.of_rows(hidden, share)
    return hidden * mask * factor
