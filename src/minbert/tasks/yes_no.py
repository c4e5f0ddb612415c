"""Yes or no."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from minbert.losses import BinaryCrossEntropy, Loss
from minbert.tasks.task import Answers, Task

YES = ("1", "1.0", "true", "yes", "y")
NO = ("0", "0.0", "false", "no", "n")


class YesNo(Task):
    """Yes or no, one logit.

    Attributes:
        yes: the label that means yes; empty: one of 1, 1.0, true, yes, y in any case, against 0, 0.0, false, no, n.
            Given: every other label means no.
    """

    metrics = ("accuracy", "f1", "macro_f1")
    kind: Literal["yes_no"] = "yes_no"
    yes: str = ""

    @property
    def outputs(self) -> int:
        return 1

    @property
    def loss(self) -> Loss:
        return BinaryCrossEntropy()

    def learned(self, labels: Sequence[str]) -> Task:
        return self

    def parse(self, label: str) -> float | str:
        if self.yes:
            return float(label == self.yes)
        if label.lower() in (*YES, *NO):
            return float(label.lower() in YES)
        return (
            f"expected a yes or no in {self.label!r} ({', '.join(YES)}; {', '.join(NO)}), found {label!r}; "
            "say which label means yes with `yes = ...`"
        )

    def tensor(self, labels: Sequence[float]) -> Tensor:
        return torch.tensor(labels, dtype=torch.long)

    def answers(self, scores: Tensor) -> Answers:
        return (scores[:, 0] > 0).long().numpy()
