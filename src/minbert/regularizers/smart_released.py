"""SMART as the public code does it."""

from typing import Literal

import torch
from pydantic import Field

from minbert.outputs import Outputs
from minbert.regularizers.again import Again
from minbert.regularizers.divergence import divergence
from minbert.regularizers.regularizer import Memory, Penalty, Regularizer
from minbert.shapes import Hidden, Scores

STABLE = 1e-6
"""Added to the length of a shift before dividing by it."""


class SmartReleased(Regularizer):
    """`mean_i l_s(f(x_i + d), f(x_i))` with `d <- u / (max_k |u_k| + 1e-6)`, `u = d + rate * gradient`, for each token.

    Nothing is projected: the largest entry of each token's shift is 1, where the paper's ball has a radius of 1e-5. And
    u is little but its random start, for the gradient is about as small as that, and `rate` a thousandth: what is asked
    for is robustness to a random shift of about the size of the embeddings.

    Attributes:
        noise: standard deviation of the start, above 0.
        rate: on the gradient of the divergence, summed over the batch; 0 or more.
        steps: of the ascent, 1 or more.

    Source: the code that the authors of Jiang et al. 2020 released (mt-dnn, `perturbation.py`), and smart-pytorch.
    Deviates: they shift the words' vectors before positions are added and the norm; here the embedding layer's output
    is shifted. Both passes have the same dropout masks. One divergence serves for ascent and penalty.
    """

    kind: Literal["smart_released"] = "smart_released"
    noise: float = Field(default=1e-5, gt=0)
    rate: float = Field(default=1e-3, ge=0)
    steps: int = Field(default=1, ge=1)

    def passes(self, exact: bool) -> int:
        return self.steps + 1

    def __call__(self, outputs: Outputs, again: Again, state: Memory) -> Penalty:
        """The mean over the rows."""
        shift = self.shift(outputs.scores.detach(), again)
        return Penalty(divergence(again.kind, again(shift=shift).scores, outputs.scores).mean())

    @torch.enable_grad()
    def shift(self, scores: Scores, again: Again) -> Hidden:
        """The shift of each token that the ascent ends at; its largest entry is about 1."""
        still = [weight.detach() for weight in again.weights]
        shift = self.noise * again.noise()
        for _ in range(self.steps):
            shift.requires_grad_()
            moved = again(shift=shift, weights=still).scores
            step = shift.detach() + self.rate * again.gradient(divergence(again.kind, moved, scores).sum(), shift)
            shift = step / (step.abs().amax(-1, keepdim=True) + STABLE)
        return shift
