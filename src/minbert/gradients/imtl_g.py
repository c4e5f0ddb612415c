"""The mixture on which all tasks gain alike."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from minbert.gradients.merge import Merge
from minbert.gradients.solving import solved
from minbert.shapes import Gram, Weights

ALIKE = 1e-3
"""How far the projections may lie apart, as a share of what they are made of."""


class IMTLG(Merge):
    """The d = `sum_i w_i g_i` with `sum_i w_i = 1` whose projections on all gradients are equally long.

    `w` is `G^+ n`, divided by its sum, with `n_i = ||g_i||`; a weight may be below 0.

    Source: Liu et al. 2021, "Towards Impartial Multi-task Learning", section 3.1; with the pseudo-inverse, as torchjd.
    Deviates: a task without a gradient is left out.
    """

    kind: Literal["imtl_g"] = "imtl_g"

    def __call__(
        self, gram: Gram, state: dict[str, Any], rng: torch.Generator, tasks: Sequence[int]
    ) -> tuple[Weights, dict[str, Any]]:
        """Shares that sum to 1; all 0 where there is no such mixture."""
        # In float32: what is smaller there is not a direction but the rounding of the products.
        # torchjd takes a third of a second to import: for those who ask for it.
        from torchjd.aggregation import IMTLGWeighting

        return solved(gram, lambda part: _checked(IMTLGWeighting()(part.float()), part)), state


def _checked(weights: Tensor, gram: Tensor) -> Tensor:
    """The weights, or zeros where they miss what they are for: of opposed gradients they are rounding, scaled up."""
    lengths, found = gram.diagonal().sqrt(), weights.to(gram)
    shortest, longest = (gram @ found / lengths).aminmax()
    alike = longest - shortest <= ALIKE * found.abs().max() * lengths.max()
    return found if bool(alike) else torch.zeros_like(found)
