"""Softmax over short rows, and its way back, by whichever operations are fast at a row's length.

On a processor, torch's softmax handles a row of fewer than 16 numbers (the width of a vector register) one number at a
time, eight times as slow as the operations it is made of; and its way back in bfloat16 does so below 32. Sentences
are that short.
"""

import torch
from torch import Tensor

NARROW = 16
"""Below this length of a row, torch's own softmax is the slow one."""

WIDE = 32
"""The same of its way back, in bfloat16."""

VERY_WIDE = 128
"""Up to this length, rows of bfloat16 are faster by way of float32, unless they fill registers to the last number."""

REGISTER = 32
"""Numbers of bfloat16; what is left of a row beyond a multiple of it is taken one by one."""


def softmax(scores: Tensor) -> Tensor:
    """`exp(s) / sum(exp(s))` over the last dimension, with sums in float32 or finer; may overwrite `scores`."""
    length, dtype = scores.shape[-1], scores.dtype
    if scores.device.type != "cpu":
        return torch.softmax(scores, -1)
    if length < NARROW:
        exact = scores.to(torch.promote_types(dtype, torch.float32))
        exact.sub_(exact.amax(-1, keepdim=True)).exp_()
        return exact.div_(exact.sum(-1, keepdim=True)).to(dtype)
    if dtype == torch.bfloat16 and length <= VERY_WIDE and length % REGISTER:
        return torch.softmax(scores.float(), -1).to(dtype)
    return torch.softmax(scores, -1, out=scores)


def softmax_back(grad: Tensor, weights: Tensor) -> Tensor:
    """`w * (g - sum(g * w))` over the last dimension: the gradient of the scores; may overwrite `grad`."""
    length, dtype = weights.shape[-1], weights.dtype
    if grad.device.type != "cpu":
        return torch._softmax_backward_data(grad, weights, -1, dtype)
    if length < NARROW:
        product = grad.to(torch.promote_types(dtype, torch.float32)).mul_(weights)
        return product.sub_(weights * product.sum(-1, keepdim=True)).to(dtype)
    if dtype == torch.bfloat16 and length < WIDE:
        return torch._softmax_backward_data(grad.float(), weights.float(), -1, torch.float32).to(dtype)
    return torch._softmax_backward_data(grad, weights, -1, dtype, grad_input=grad)
