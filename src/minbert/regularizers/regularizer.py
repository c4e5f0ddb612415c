"""What a regularizer is: a penalty on a batch, from running it again."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field
from torch import Tensor

from minbert.outputs import Outputs
from minbert.regularizers.again import Again
from minbert.shapes import Scalar
from minbert.values import Value, listed

Memory = dict[str, Any]


@dataclass(frozen=True)
class Penalty:
    """What a regularizer gives for a batch.

    Attributes:
        value: 0 or more; a mean over the rows.
        counted: outputs of further passes that the task's losses read too: the loss is the mean over all passes.
    """

    value: Scalar
    counted: tuple[Outputs, ...] = ()


class Regularizer(Value):
    """Something to make small beside a task's losses, so that the model does not learn train by heart.

    Memory stays outside: `state = regularizer.start(weights)`, `state = regularizer.after_step(weights, state, ...)`.

    Attributes:
        weight: factor on the penalty, above 0.
        tasks: which tasks it concerns; empty: all that it fits.
    """

    kinds: ClassVar[frozenset[str]] = frozenset({"classes", "yes_no", "rating"})
    """Which kinds of task it fits."""

    reads: ClassVar[Literal["scores", "vectors"]] = "scores"
    """`vectors`: it wants the texts of a pair apart."""

    kind: str
    weight: float = Field(default=1.0, gt=0)
    tasks: Annotated[tuple[str, ...], BeforeValidator(listed)] = ()

    def passes(self, exact: bool) -> int:
        """How many passes over a batch it adds to the first, in a run that computes in float32 (exact) or not."""
        return 1

    def concerns(self, task: str, kind: str) -> bool:
        """Whether it acts on a task of this name and kind."""
        return task in self.tasks if self.tasks else kind in self.kinds

    def start(self, weights: Sequence[Tensor]) -> Memory:
        """The state before the first step: tensors and plain values that a snapshot can hold."""
        return {}

    @abstractmethod
    def __call__(self, outputs: Outputs, again: Again, state: Memory) -> Penalty:
        """The penalty on a batch.

        Args:
            outputs: of the first pass.
            again: runs the batch once more.
            state: what `start` or `after_step` gave.
        """

    def after_step(self, weights: Sequence[Tensor], state: Memory, progress: float) -> Memory:
        """The state after a step.

        Args:
            weights: as they are now.
            state: before the step.
            progress: share of the stage's steps that are done, above 0, at most 1.
        """
        return state
