"""Each gradient made harmless to all tasks first, then their mean."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from minbert.gradients.merge import Merge
from minbert.gradients.solving import root, solved
from minbert.shapes import Gram, Weights


class UPGrad(Merge):
    """`sum_i p_i / T`, with p_i the vector nearest to g_i of those with `p . g_j >= 0` for every j.

    Where nothing conflicts it is the plain mean of the gradients that are not 0; to first order no task gets worse.

    Source: Quinton & Rey 2024, "Jacobian Descent For Multi-Objective Optimization", section 3 and proposition 1:
    `p_i = sum_k v_k g_k` with `v = argmin v^T G v` over `v >= e_i`.
    Deviates: v is found as least squares with `v - e_i >= 0`, without torchjd's 1e-4 on the diagonal of G, and so
    without the solver that it needs; T counts the tasks that have a gradient.
    """

    kind: Literal["upgrad"] = "upgrad"

    def __call__(
        self, gram: Gram, state: dict[str, Any], rng: torch.Generator, tasks: Sequence[int]
    ) -> tuple[Weights, dict[str, Any]]:
        """The mean of the projected coefficients."""
        return solved(gram, _projected), state


def _projected(gram: Tensor) -> Tensor:
    """The mean over i of `e_i + s` with `s = argmin ||R (e_i + s)||` over `s >= 0`."""
    from scipy.optimize import nnls

    vectors = root(gram).numpy()
    added = [torch.from_numpy(nnls(vectors, -column)[0]) for column in vectors.T]
    return (1 + torch.stack(added).sum(0)) / len(gram)
