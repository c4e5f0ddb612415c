"""Schedules: a factor on the learning rates over the steps of a stage."""

import math
from abc import abstractmethod
from typing import Annotated, Literal

from pydantic import Field

from minbert.values import Family, Value


class Schedule(Value):
    """A factor over steps.

    Attributes:
        warmup: share of the steps over which the factor rises evenly to 1, 0 to 1.
    """

    kind: str
    warmup: float = Field(default=0.0, ge=0, le=1)

    def __call__(self, step: int, total: int) -> float:
        """The factor of a step.

        Args:
            step: 0 to total - 1.
            total: the steps of the stage.
        """
        rise = round(self.warmup * total)
        if step < rise:
            return (step + 1) / rise
        return self.after((step - rise) / max(1, total - rise))

    @abstractmethod
    def after(self, progress: float) -> float:
        """The factor behind the warm-up, at a progress of 0 to below 1."""


class Constant(Schedule):
    """1 throughout."""

    kind: Literal["constant"] = "constant"

    def after(self, progress: float) -> float:
        """1."""
        return 1.0


class Linear(Schedule):
    """From 1 evenly down towards 0."""

    kind: Literal["linear"] = "linear"
    warmup: float = Field(default=0.1, ge=0, le=1)

    def after(self, progress: float) -> float:
        """`1 - progress`."""
        return 1.0 - progress


class Cosine(Schedule):
    """From 1 down towards 0 along half a cosine.

    Source: Loshchilov & Hutter 2016, equation 5, without restarts.
    """

    kind: Literal["cosine"] = "cosine"
    warmup: float = Field(default=0.1, ge=0, le=1)

    def after(self, progress: float) -> float:
        """`(1 + cos(pi progress)) / 2`."""
        return (1 + math.cos(math.pi * progress)) / 2


AnySchedule = Annotated[Schedule, Family(Constant, Linear, Cosine)]
