"""SMART: outputs should hardly change where the embeddings of the tokens change a little, in the worst direction."""

from typing import Literal

import torch
from pydantic import Field

from minbert.outputs import Outputs
from minbert.regularizers.again import Again
from minbert.regularizers.divergence import divergence
from minbert.regularizers.regularizer import Memory, Penalty, Regularizer
from minbert.shapes import Hidden, Scores

TINY = torch.finfo(torch.float32).tiny


class Smart(Regularizer):
    """`mean_i max_{||d||_inf <= epsilon} l_s(f(x_i + d), f(x_i))`, with d added to each token's embedding.

    d starts as `N(0, (noise epsilon)^2)`, goes `rate epsilon` uphill, and is projected into the ball after both.
    Both passes have the same dropout masks, so that only d tells them apart, and compute in float32: in bfloat16 a
    shift of 1e-5 is rounded away.

    Attributes:
        epsilon: radius of the ball, above 0. The penalty grows with its square: at the paper's 1e-5 it is far below any
            loss.
        noise: standard deviation of the start, in radii, above 0. From far below 1 the way uphill drowns in rounding.
        rate: length of a step of the ascent, in radii, above 0.
        steps: of the ascent, 1 or more.

    Source: Jiang et al. 2020, section 3.1 and algorithm 1 (their lambda is `weight`).
    Deviates: the gradient on a token's shift is divided by its largest entry. The gradient itself is about as small as
    the start, so that a step of the paper's rate would hardly move the shift. The paper's start and rate, 1e-5 and
    1e-3, are given in radii, so that another radius needs no other setting.
    """

    kind: Literal["smart"] = "smart"
    epsilon: float = Field(default=1e-5, gt=0)
    noise: float = Field(default=1.0, gt=0)
    rate: float = Field(default=100.0, gt=0)
    steps: int = Field(default=1, ge=1)

    def passes(self, exact: bool) -> int:
        return self.steps + (1 if exact else 2)

    def __call__(self, outputs: Outputs, again: Again, state: Memory) -> Penalty:
        """The mean over the rows."""
        exact = torch.float32
        scores = outputs.scores if again.precision == exact else again(precision=exact).scores
        shift = self.shift(scores.detach(), again)
        moved = again(shift=shift, precision=exact).scores
        return Penalty(divergence(again.kind, moved, scores).mean())

    @torch.enable_grad()
    def shift(self, scores: Scores, again: Again) -> Hidden:
        """The shift of each token that the ascent ends at; no entry is beyond `epsilon`."""
        still = [weight.detach() for weight in again.weights]
        shift = self._projected(self.noise * self.epsilon * again.noise())
        for _ in range(self.steps):
            shift.requires_grad_()
            moved = again(shift=shift, weights=still, precision=torch.float32).scores
            slope = again.gradient(divergence(again.kind, moved, scores).sum(), shift)
            uphill = slope / slope.abs().amax(-1, keepdim=True).clamp_min(TINY)
            shift = self._projected(shift.detach() + self.rate * self.epsilon * uphill)
        return shift

    def _projected(self, shift: Hidden) -> Hidden:
        """The nearest point of the ball."""
        return shift.clamp(-self.epsilon, self.epsilon)
