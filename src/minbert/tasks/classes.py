"""One class of several."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from minbert.losses import CrossEntropy, Loss
from minbert.tasks.task import Answers, Task, Words
from minbert.values import nearest


class Classes(Task):
    """One class of several; the labels may be words.

    Attributes:
        labels: the classes in order; empty: those that occur in train, sorted, numbers as such and before words.
    """

    metrics = ("accuracy", "macro_f1")
    kind: Literal["classes"] = "classes"
    labels: Words = ()

    @property
    def outputs(self) -> int:
        return len(self.labels)

    @property
    def loss(self) -> Loss:
        return CrossEntropy()

    def learned(self, labels: Sequence[str]) -> Task:
        return self if self.labels else self.model_copy(update={"labels": tuple(sorted(set(labels), key=_order))})

    def parse(self, label: str) -> float | str:
        if label in self.labels:
            return float(self.labels.index(label))
        return (
            f"expected a class of {self.label!r} that train has, found {label!r}; {nearest(label, list(self.labels))}"
        )

    def tensor(self, labels: Sequence[float]) -> Tensor:
        return torch.tensor([int(label) for label in labels])

    def answers(self, scores: Tensor) -> Answers:
        return scores.argmax(1).numpy()


def _order(label: str) -> tuple[int, float, str]:
    try:
        number = float(label)
    except ValueError:
        number = math.nan
    # "nan" and "inf" are words: nothing can be sorted around a NaN.
    return (0, number, label) if math.isfinite(number) else (1, 0.0, label)
