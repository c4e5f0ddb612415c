"""Averages of the weights over the steps: what is scored and kept, while training goes on with the plain ones."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from minbert.values import Family, Value

Memory = dict[str, Any]


class Average(Value):
    """How the weights of many steps become one set.

    Memory stays outside: `state = average.start(weights)`, then `state = average(weights, state)` after each step. The
    state holds a tensor for each weight, under its place as a string.
    """

    kind: str

    def start(self, weights: Sequence[Tensor]) -> Memory:
        """The weights as they stand, and no steps."""
        return {"steps": 0, **{str(place): weight.detach().clone() for place, weight in enumerate(weights)}}

    @abstractmethod
    def __call__(self, weights: Sequence[Tensor], state: Memory) -> Memory:
        """The state after a step; the tensors of the one before may be changed in place."""


class Ema(Average):
    """`a <- d a + (1 - d) w` after each step, with `d = min(decay, (1 + t) / (10 + t))` after t steps.

    So the first weights are soon forgotten, and after `9 / (1 - decay)` steps d is `decay`.

    Attributes:
        decay: 0 to below 1; the average reaches back about `1 / (1 - decay)` steps.

    Source: Polyak & Juditsky 1992; the rise of d: TensorFlow's `ExponentialMovingAverage`.
    """

    kind: Literal["ema"] = "ema"
    decay: float = Field(default=0.999, ge=0, lt=1)

    def __call__(self, weights: Sequence[Tensor], state: Memory) -> Memory:
        """The state after a step."""
        steps: int = state["steps"]
        averages = _averages(weights, state)
        decay = min(self.decay, (1 + steps) / (10 + steps))
        torch._foreach_lerp_(averages, [weight.detach() for weight in weights], 1 - decay)
        return {"steps": steps + 1, **{str(place): tensor for place, tensor in enumerate(averages)}}


AnyAverage = Annotated[Average, Family(Ema)]


@contextmanager
def exchanged(weights: Sequence[Tensor], state: Memory) -> Iterator[None]:
    """Within, the weights hold their averages, and the state holds the weights; afterwards each its own again."""
    _exchange(weights, state)
    try:
        yield
    finally:
        _exchange(weights, state)


@torch.no_grad()
def _exchange(weights: Sequence[Tensor], state: Memory) -> None:
    # By copying: whoever has laid out a weight for the processor sees that it has changed.
    for weight, average in zip(weights, _averages(weights, state), strict=True):
        kept = weight.clone()
        weight.copy_(average)
        average.copy_(kept)


def _averages(weights: Sequence[Tensor], state: Memory) -> list[Tensor]:
    """The averages where the weights lie; a snapshot was read to the processor."""
    for place, weight in enumerate(weights):
        state[str(place)] = state[str(place)].to(weight.device)
    return [state[str(place)] for place in range(len(weights))]
