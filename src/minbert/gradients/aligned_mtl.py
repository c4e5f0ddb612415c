"""Gradients made orthogonal and equally long, as close to the original ones as can be."""

from collections.abc import Sequence
from typing import Any, Literal

import torch

from minbert.gradients.merge import Merge
from minbert.gradients.solving import solved
from minbert.shapes import Gram, Weights


class AlignedMTL(Merge):
    """`w = sqrt(s) V L^-1/2 V^T 1 / T` with `G = V L V^T`: the principal components of the gradients get one length.

    Attributes:
        scale: s, of the eigenvalues that are not 0: `min`, `median`, or `rmse` (their mean).

    Source: Senushkin et al. 2023, "Independent Component Alignment for Multi-Task Learning", algorithm 1; as torchjd.
    Deviates: T counts the tasks that have a gradient.
    """

    kind: Literal["aligned_mtl"] = "aligned_mtl"
    scale: Literal["min", "median", "rmse"] = "min"

    def __call__(
        self, gram: Gram, state: dict[str, Any], rng: torch.Generator, tasks: Sequence[int]
    ) -> tuple[Weights, dict[str, Any]]:
        """The balanced mean."""
        # torchjd takes a third of a second to import: for those who ask for it.
        from torchjd.aggregation import AlignedMTLWeighting

        balance = AlignedMTLWeighting(scale_mode=self.scale)
        # In float32: what is smaller there is not a direction but the rounding of the products.
        return solved(gram, lambda part: balance(part.float())), state
