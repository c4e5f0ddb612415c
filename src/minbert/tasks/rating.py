"""A number within a range."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import field_validator
from torch import Tensor

from minbert.losses import Loss, SquaredError
from minbert.tasks.task import Answers, Task
from minbert.text.columns import number_in


class Rating(Task):
    """A number within a range. A head's output 0 stands for the lowest rating, 1 for the highest.

    Attributes:
        range: the lowest and the highest rating there can be; never guessed.
    """

    metrics = ("pearson", "spearman")
    kind: Literal["rating"] = "rating"
    range: tuple[float, float]

    @field_validator("range")
    @classmethod
    def _rises(cls, given: tuple[float, float]) -> tuple[float, float]:
        if given[0] >= given[1]:
            raise ValueError(f"expected [low, high] with low below high, found {list(given)}")
        return given

    @property
    def bounds(self) -> tuple[float, float]:
        return self.range

    @property
    def outputs(self) -> int:
        return 1

    @property
    def loss(self) -> Loss:
        return SquaredError()

    def learned(self, labels: Sequence[str]) -> Task:
        return self

    def parse(self, label: str) -> float | str:
        low, high = self.range
        try:
            number = float(label)
        except ValueError:
            number = math.nan
        if low <= number <= high:
            return number
        remedy = (
            "write it with a decimal point"
            if math.isnan(number) and number_in(label) is not None
            else "check `range` or the row"
        )
        return f"expected a number from {low:g} to {high:g} in {self.label!r}, found {label!r}; {remedy}"

    def tensor(self, labels: Sequence[float]) -> Tensor:
        return torch.tensor(labels, dtype=torch.float32)

    def answers(self, scores: Tensor) -> Answers:
        low, high = self.range
        # Clipped only here: in training a clipped score would have no gradient.
        return (low + scores[:, 0].double() * (high - low)).clamp(low, high).numpy()
