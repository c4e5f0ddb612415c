"""How much the gold label weighs beside a teacher, over a stage."""

from abc import abstractmethod
from typing import Literal

from pydantic import Field

from minbert.values import Value


class GoldShare(Value):
    """The share of the gold label; the rest is the teacher's."""

    kind: str

    @abstractmethod
    def __call__(self, progress: float) -> float:
        """The share, 0 to 1, at a progress of 0 to below 1 over the steps of the stage."""


class TeacherAnnealing(GoldShare):
    """The share is the progress: first the teacher alone, in the end the gold label alone.

    Source: Clark et al. 2019, "BAM! Born-Again Multi-Task Networks for Natural Language Understanding", section 3,
    "teacher annealing".
    """

    kind: Literal["annealed"] = "annealed"

    def __call__(self, progress: float) -> float:
        """`progress`."""
        return progress


class ConstantShare(GoldShare):
    """The same share throughout.

    Attributes:
        share: of the gold label, 0 to below 1; 0: the teacher alone.

    Source: Hinton et al. 2015, "Distilling the Knowledge in a Neural Network", section 2.
    """

    kind: Literal["constant"] = "constant"
    share: float = Field(default=0.5, ge=0, lt=1)

    def __call__(self, progress: float) -> float:
        """`share`."""
        return self.share
