"""The mixture on which all tasks gain alike."""

from collections.abc import Sequence
from typing import Any, Literal

import torch

from minbert.gradients.merge import Merge
from minbert.gradients.solving import solved
from minbert.shapes import Gram, Weights


class IMTLG(Merge):
    """The d = `sum_i w_i g_i` with `sum_i w_i = 1` whose projections on all gradients are equally long.

    `w` is `G^+ n`, divided by its sum, with `n_i = ||g_i||`; a weight may be below 0.

    Source: Liu et al. 2021, "Towards Impartial Multi-task Learning", section 3.1; with the pseudo-inverse, as torchjd.
    """

    kind: Literal["imtl_g"] = "imtl_g"

    def __call__(
        self, gram: Gram, state: dict[str, Any], rng: torch.Generator, tasks: Sequence[int]
    ) -> tuple[Weights, dict[str, Any]]:
        """Shares that sum to 1; all 0 where there is no such mixture."""
        # In float32: what is smaller there is not a direction but the rounding of the products.
        # torchjd takes a third of a second to import: for those who ask for it.
        from torchjd.aggregation import IMTLGWeighting

        return solved(gram, lambda part: IMTLGWeighting()(part.float())), state
