"""Bregman proximal point: outputs should not run away from those of the weights' own recent past."""

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from minbert.outputs import Outputs
from minbert.regularizers.again import Again
from minbert.regularizers.divergence import divergence
from minbert.regularizers.regularizer import Memory, Penalty, Regularizer

EARLY = 0.1
"""The share of the steps with the first momentum."""

Momentum = Annotated[float, Field(ge=0, lt=1)]


class Bregman(Regularizer):
    """`mean_i l_s(f(x_i; w), f(x_i; w'))` with `w' <- b w' + (1 - b) w` after each step.

    Both passes have the same dropout masks: where w' is w, the penalty is 0. No gradient goes through w'.

    Attributes:
        momentum: b in the first tenth of the steps, and in the rest.

    Source: Jiang et al. 2020, section 3.2, with momentum (their mu is `weight`).
    """

    kind: Literal["bregman"] = "bregman"
    momentum: tuple[Momentum, Momentum] = (0.99, 0.999)

    def start(self, weights: Sequence[Tensor]) -> Memory:
        """The weights as they stand."""
        return {str(place): weight.detach().clone() for place, weight in enumerate(weights)}

    def __call__(self, outputs: Outputs, again: Again, state: Memory) -> Penalty:
        """The mean over the rows."""
        past = again(weights=[state[str(place)] for place in range(len(state))]).scores
        return Penalty(divergence(again.kind, outputs.scores, past).mean())

    def after_step(self, weights: Sequence[Tensor], state: Memory, progress: float) -> Memory:
        """The weights of the past, a little nearer to the present ones."""
        past = [state[str(place)].to(weight.device) for place, weight in enumerate(weights)]
        momentum = self.momentum[progress > EARLY]
        torch._foreach_lerp_(past, [weight.detach() for weight in weights], 1 - momentum)
        return {str(place): tensor for place, tensor in enumerate(past)}
