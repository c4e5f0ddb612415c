"""Gradient surgery: a gradient that conflicts with another loses the part that does."""

from collections.abc import Sequence
from typing import Any, Literal

import torch

from minbert.gradients.merge import Merge
from minbert.shapes import Gram, Weights


class PCGrad(Merge):
    """For each task i, for the others j in random order: if `g_i . g_j < 0`, `g_i -= (g_i . g_j) / ||g_j||^2 g_j`.

    g_j is the original gradient, g_i the one projected so far; the update is the sum over i. All of it happens on the
    Gram matrix: `g_i = sum_k c_ik g_k`, so a projection changes one coefficient.

    Source: Yu et al. 2020, algorithm 1; the report, equation 4.
    Deviates: the report divides by `||g_i||^2`, with which the projected gradients still conflict.
    """

    kind: Literal["pcgrad"] = "pcgrad"

    def __call__(
        self, gram: Gram, state: dict[str, Any], rng: torch.Generator, tasks: Sequence[int]
    ) -> tuple[Weights, dict[str, Any]]:
        """The sum of the projected coefficients."""
        count = len(gram)
        coefficients = torch.eye(count, dtype=gram.dtype)
        for i in range(count):
            for j in torch.randperm(count, generator=rng).tolist():
                dot = coefficients[i] @ gram[:, j]
                if j != i and dot < 0:
                    coefficients[i, j] -= dot / gram[j, j]
        return coefficients.sum(0), state
