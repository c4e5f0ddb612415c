"""What a task is: data, labels, head, metric."""

import re
from abc import abstractmethod
from collections.abc import Sequence
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import BeforeValidator, Field
from torch import Tensor

from minbert.heads import AnyHead, Linear
from minbert.losses import Loss, Targets
from minbert.metrics import METRICS, Metric
from minbert.text.readers import AnyFormat
from minbert.values import Value, listed

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


Words = Annotated[tuple[str, ...], BeforeValidator(listed)]
"""One string or a list of them."""

Answers = npt.NDArray[np.float64] | npt.NDArray[np.int64]


class Task(Value):
    """What is to be learned: abstract over classes, yes/no and ratings.

    Attributes:
        text: the column of the text, or the two columns of a pair.
        label: the column of the label.
        train: the file to learn from, or several.
        dev: the file to report on, or the share of train held out for it, by connected component of equal texts.
        test: files that are scored once, by `minbert evaluate --split test`; may be left out.
        head: how vectors become outputs.
        metric: the number that counts; None: the first of the kind's metrics.
        format: how the files are written; None: as their suffix says.
        limit: at most so many rows of train and of dev, drawn once a run; 0: all.
    """

    metrics: ClassVar[tuple[Metric, ...]]
    """The metrics that fit the kind, the usual one first."""

    kind: str
    text: Words = Field(min_length=1, max_length=2)
    label: str
    train: Words = Field(min_length=1)
    dev: Annotated[float, Field(gt=0, lt=1)] | Words = 0.1
    test: Words = ()
    head: AnyHead = Linear()
    metric: Metric | None = None
    format: AnyFormat | None = None
    limit: int = Field(default=0, ge=0)

    @property
    def files(self) -> dict[str, tuple[str, ...]]:
        """The files that it names, by split."""
        return {"train": self.train, "dev": self.dev if isinstance(self.dev, tuple) else (), "test": self.test}

    @property
    def is_pair(self) -> bool:
        """Whether a row has two texts."""
        return len(self.text) == 2

    @property
    def scored_by(self) -> Metric:
        """The metric that counts."""
        return self.metric or self.metrics[0]

    @property
    def bounds(self) -> tuple[float, float]:
        """What 0 and 1 stand for in the labels' own unit."""
        return 0.0, 1.0

    @property
    @abstractmethod
    def outputs(self) -> int:
        """How many numbers a head gives per row."""

    @property
    @abstractmethod
    def loss(self) -> Loss:
        """The loss where a stage names none."""

    @abstractmethod
    def learned(self, labels: Sequence[str]) -> "Task":
        """The task with what it has to learn from the labels of train (the class names) filled in."""

    @abstractmethod
    def parse(self, label: str) -> float | str:
        """A label of the file as a number; a string says why it is none (expected ..., found ...; remedy)."""

    @abstractmethod
    def tensor(self, labels: Sequence[float]) -> Tensor:
        """Parsed labels, (rows,), in the type that losses want."""

    @abstractmethod
    def answers(self, scores: Tensor) -> Answers:
        """What the scores (rows, outputs) predict, in the unit of the labels."""

    def faults(self) -> list[str]:
        """What does not fit together, as `key: expected, found, remedy`."""
        found = []
        if self.head.reads > 1 and not self.is_pair:
            found.append(f"head: {self.head.kind!r} reads two texts, found one `text` column; use 'linear'")
        if self.head.kind == "cosine" and self.kind != "rating":
            found.append(f"head: 'cosine' is for ratings, found kind {self.kind!r}; use 'concat' or 'difference'")
        if self.scored_by not in self.metrics:
            known = ", ".join(self.metrics)
            found.append(f"metric: expected one of {known} for kind {self.kind!r}, found {self.metric!r}")
        return found

    def targets(self, labels: Tensor, hashes: Tensor) -> Targets:
        """The labels of a batch as losses want them."""
        return Targets(labels, *self.bounds, hashes)

    def scores(self, labels: Tensor, scores: Tensor) -> dict[str, float]:
        """Every metric of the kind."""
        truth, predicted = labels.numpy(), self.answers(scores)
        return {name: METRICS[name](truth, predicted) for name in self.metrics}
