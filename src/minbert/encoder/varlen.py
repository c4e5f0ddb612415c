"""Attention over a whole pack in one call, by torch's kernel for sequences of different length.

It runs on GPUs that have it, in bfloat16, and knows neither dropout nor anything added to the scores. So it stands for
embedding and scoring, and for training without attention dropout; length groups (attention.py) do the rest.
Whether it is there and right is tried once a process, on sequences whose answer is known.
"""

from collections.abc import Callable
from functools import cache
from itertools import accumulate, pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from minbert.encoder.layout import Layout, layout_of

Projected = Float[Tensor, "tokens 3 heads head_width"]
Mixed = Float[Tensor, "tokens heads head_width"]

TRIED = (1, 3, 17, 40)
"""Lengths of the sequences that the kernel is tried on."""

CLOSE = 0.05
"""How far its answers, of order 1, may lie from the definition's: they are rounded to bfloat16."""


def goes_at_once(qkv: Projected, layout: Layout) -> bool:
    """Whether the kernel can be used: on a GPU that has it, in bfloat16, with nothing added to the scores."""
    if layout.bounds is None or layout.relative or qkv.dtype != torch.bfloat16:
        return False
    return runs(qkv.device, qkv.shape[2], qkv.shape[3])


def attend_at_once(qkv: Projected, layout: Layout) -> Mixed:
    """Scaled dot-product attention of every sequence with itself; rows behind the last token are zeros.

    Args:
        qkv: queries, keys and values, (tokens, 3, heads, width of a head).
        layout: of the same pack, on a GPU.
    """
    bounds, tokens = layout.bounds, sum(layout.tokens)
    assert bounds is not None
    longest = max(group.length for group in layout.groups)
    q, k, v = qkv[:tokens].unbind(1)
    mixed = kernel()(q, k, v, bounds, bounds, longest, longest)
    return torch.cat([mixed, mixed.new_zeros(len(qkv) - tokens, *mixed.shape[1:])])


@cache
def runs(device: torch.device, heads: int, width: int) -> bool:
    """Whether the kernel is there for heads of this width, and right, on its way back too; tried once a process."""
    rng = torch.Generator().manual_seed(0)
    with torch.inference_mode(False), torch.enable_grad():
        drawn = torch.randn(sum(TRIED), 3, heads, width, generator=rng)
        qkv = drawn.to(device, torch.bfloat16).requires_grad_()
        back = torch.randn(sum(TRIED), heads, width, generator=rng).to(qkv)
        try:
            mixed = attend_at_once(qkv, layout_of(TRIED, device=device, bounded=True))
            (found,) = torch.autograd.grad(mixed, [qkv], back)
        except RuntimeError:
            # torch says so where the GPU is too old, or was built without the kernel.
            return False
        wanted = _one_by_one(qkv.float())
        (to_qkv,) = torch.autograd.grad(wanted, [qkv], back.float())
    worst = max((mixed.float() - wanted).abs().max(), (found.float() - to_qkv.float()).abs().max())
    return bool(worst < CLOSE)


def _one_by_one(qkv: Projected) -> Mixed:
    """The definition, on the sequences that the kernel is tried on."""
    parts = [qkv[start:stop].permute(1, 2, 0, 3) for start, stop in pairwise(accumulate(TRIED, initial=0))]
    scores = [(q @ k.mT * q.shape[-1] ** -0.5).softmax(-1) for q, k, _ in parts]
    return torch.cat([(weights @ v).transpose(0, 1) for weights, (_, _, v) in zip(scores, parts, strict=True)])


def kernel() -> Callable[..., Tensor]:
    """The one of torch; imported here, since it takes a while and a processor has no use for it."""
    from torch.nn.attention.varlen import varlen_attn

    return varlen_attn  # type: ignore[return-value]
