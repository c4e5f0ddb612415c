"""What a regularizer gets in place of the model: a function that runs the batch in hand once more."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from minbert.outputs import Outputs
from minbert.shapes import Hidden, RowVectors, Scalar


class Again(ABC):
    """Runs the same batch once more, through the same head.

    Attributes:
        kind: of the batch's task: `classes`, `yes_no` or `rating`.
        precision: in which the first pass computed.
        hashes: a number per text, first texts, then second ones: equal texts have equal numbers.
        weights: those in training, in the order in which `Regularizer.start` gets them.
    """

    kind: str
    precision: torch.dtype
    hashes: Tensor
    weights: Sequence[Tensor]

    @abstractmethod
    def __call__(
        self,
        *,
        mask: int = 0,
        shift: Hidden | None = None,
        weights: Sequence[Tensor] | None = None,
        precision: torch.dtype | None = None,
    ) -> Outputs:
        """The outputs of all rows of the batch.

        Args:
            mask: 0: the dropout masks of the first pass; 1, 2, ...: others.
            shift: added to the output of the embedding layer; a row per token of this process's share.
            weights: in place of those in training; where none of them asks for a gradient, no graph is kept.
            precision: of the layers; None: as in the first pass.
        """

    @abstractmethod
    def texts(self, mask: int = 0) -> RowVectors:
        """The pooled vector of each text by itself: first texts, then second ones.

        Args:
            mask: 0: those of the first pass; 1, 2, ...: with other dropout masks.
        """

    @abstractmethod
    def noise(self) -> Hidden:
        """Standard normal numbers in the shape of a shift: a row of the data has the same ones in whatever process."""

    @abstractmethod
    def gradient(self, value: Scalar, shift: Hidden) -> Hidden:
        """The gradient of a value on a shift, the same in however many processes the rows were run."""
