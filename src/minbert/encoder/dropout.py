"""Dropout whose random bits cost little on a processor, and do not depend on what else stands in a pack.

torch draws one random number per element, one after the other: an eighth of a training step. Here numpy's SFC64 draws
a byte for each. Sixteen bits decide: the upper eight, which settle 255 cases in 256, are an element's own; the lower
eight are the upper ones of an element half a mask away. So each is dropped with the share that was asked for, and
independently, but that the correlation of two half a mask apart can be up to 1/256 (at a share of .1 it is 1/578).
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from minbert.encoder.layout import Layout

LEVELS = 1 << 16

ONE = torch.ones(1, dtype=torch.bfloat16)
"""What stands in a mask where an element is kept."""


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

    def of_rows(self, like: Tensor, share: float, firsts: bool = False) -> tuple[Tensor, float]:
        """A mask for a tensor with a row per token, or per sequence.

        Args:
            like: (rows, width); rows beyond the tokens are padding, and get zeros.
            share: of zeros, above 0 and below 1.
            firsts: a row per sequence.
        """
        counts = self.layout.sequences if firsts else self.layout.tokens
        mask, begin = like.new_empty(like.shape), 0
        for part, count in enumerate(counts):
            self._write(mask[begin : begin + count].view(-1), part, share)
            begin += count
        if begin < len(mask):
            mask[begin:].zero_()
        return mask, self.factor(share)

    def of_weights(self, weights: Tensor, part: int, share: float) -> Tensor:
        """A mask for attention weights of a part; whoever asks again gets the next one.

        Args:
            weights: whose shape, type and place the mask has.
            part: of the pack.
            share: of zeros, above 0 and below 1.
        """
        mask = weights.new_empty(weights.shape)
        self._write(mask.view(-1), part, share)
        return mask

    def drop(self, weights: Tensor, part: int, share: float) -> Tensor:
        """Attention weights of a part with a share of them dropped; what is left is as it was, without the factor."""
        stream = self.streams[part]
        if weights.dtype != torch.bfloat16 or isinstance(stream, torch.Generator):
            return keep(weights, self.of_weights(weights, part, share))
        dropped = torch.empty_like(weights)
        _choose(stream, share, weights.view(-1), dropped.view(-1))
        return dropped

    def factor(self, share: float) -> float:
        """What makes up for the zeros. On a processor the share is rounded to a multiple of 1/65,536."""
        exact = any(isinstance(stream, torch.Generator) for stream in self.streams)
        return 1 / (1 - share) if exact else LEVELS / (LEVELS - round(share * LEVELS))

    def _write(self, mask: Tensor, part: int, share: float) -> None:
        """Writes ones and zeros, the next of a part's.

        The mask has the type of what it will be multiplied with: a product of two types takes eight times as long.
        """
        stream = self.streams[part]
        if isinstance(stream, torch.Generator):
            mask.bernoulli_(1 - share, generator=stream)
        elif mask.dtype == torch.bfloat16:
            _choose(stream, share, ONE.expand(len(mask)), mask)
        else:
            for half, bits in _halves(stream, len(mask)):
                torch.ge(bits, _least(share), out=mask[half])


def _halves(stream: np.random.SFC64, count: int) -> Iterator[tuple[slice, Tensor]]:
    """So many random numbers of 16 bits, one half after the other: the second begins in the middle of the first's."""
    middle = -(-count // 2)
    drawn = stream.random_raw(middle // 4 + 1).view(np.uint8)
    for begin, size in enumerate((middle, count - middle)):
        bits = torch.from_numpy(drawn[begin : begin + 2 * size].view(np.int16))
        yield slice(begin * middle, begin * middle + size), bits


def _least(share: float) -> int:
    """From which number on an element is kept."""
    return round(share * LEVELS) - LEVELS // 2


def _choose(stream: np.random.SFC64, share: float, x: Tensor, out: Tensor) -> None:
    """Writes numbers of bfloat16, a share of which, the next that a stream drops, become zeros.

    As integers: from one type to another a comparison takes up to four times as long.
    """
    least, given, room = _least(share), x.view(torch.int16), out.view(torch.int16)
    if least == -LEVELS // 2:
        # All are kept, and there is no smaller number of 16 bits.
        out.copy_(x)
        return
    for half, bits in _halves(stream, len(x)):
        torch.ops.aten.threshold_backward.grad_input(given[half], bits, least - 1, grad_input=room[half])


def keep(x: Tensor, mask: Tensor, out: Tensor | None = None) -> Tensor:
    """`x` where a mask of the same type is above zero, else zeros.

    In 16 bits it is a choice between integers: on a processor half the time of a product, or of comparing numbers.
    """
    like = torch.int16 if x.dtype == torch.bfloat16 else x.dtype
    given = (x.view(like), mask.view(like), 0)
    if out is None:
        return torch.ops.aten.threshold_backward(*given).view(x.dtype)  # type: ignore[no-any-return]
    torch.ops.aten.threshold_backward.grad_input(*given, grad_input=out.view(like))
    return out


def drop_rows(hidden: Tensor, share: float, noise: Noise | None) -> Tensor:
    """A tensor with a row per token, with a share of its numbers dropped; without noise as it is."""
    if noise is None or not share:
        return hidden
    mask, factor = noise.of_rows(hidden, share)
    return hidden * mask * factor
