"""Gradient vaccine: gradients are turned until they agree as well as they usually do."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from pydantic import Field

from minbert.gradients.merge import Merge
from minbert.shapes import Gram, Weights

LEAST_SINE = 1e-6
"""Where two tasks have always agreed wholly, the correction would divide by 0."""


class GradVac(Merge):
    """For each task i, for the others j in random order, with `c = cos(g_i, g_j)` and t the pair's usual cosine.

    ```
    if c < t:  g_i += ||g_i|| (t sqrt(1 - c^2) - c sqrt(1 - t^2)) / (||g_j|| sqrt(1 - t^2)) g_j
    t += beta (c - t)
    ```

    g_j is the original gradient, g_i the one turned so far; the update is the sum over i. Every t, one per ordered
    pair, begins at 0, where the correction is PCGrad's; that of a pair that a step lacks stays as it is.

    Attributes:
        beta: how fast the usual cosines follow, in [0, 1); 0: never, which is PCGrad.

    Source: Wang et al. 2020, "Gradient Vaccine", equations 3 and 4, algorithm 1; over all shared weights at once.
    """

    kind: Literal["gradvac"] = "gradvac"
    beta: float = Field(default=1e-2, ge=0, lt=1)

    def start(self, tasks: int) -> dict[str, Any]:
        """No two tasks are known yet."""
        return {"cosines": torch.zeros(tasks, tasks, dtype=torch.float64)}

    def __call__(
        self, gram: Gram, state: dict[str, Any], rng: torch.Generator, tasks: Sequence[int]
    ) -> tuple[Weights, dict[str, Any]]:
        """The sum of the turned coefficients, and what the cosines have become."""
        usual, gram = state["cosines"].clone(), gram.double()
        coefficients = torch.eye(len(gram), dtype=gram.dtype)
        lengths = gram.diagonal().sqrt()
        for i in range(len(gram)):
            for j in torch.randperm(len(gram), generator=rng).tolist():
                dots = coefficients[i] @ gram
                length = (dots @ coefficients[i]).clamp(min=0).sqrt()
                if j == i or not length * lengths[j] > 0:
                    continue
                pair = (tasks[i], tasks[j])
                cosine, target = (dots[j] / (length * lengths[j])).clamp(-1, 1), usual[pair]
                if cosine < target:
                    sine, wanted = (1 - cosine**2).sqrt(), (1 - target**2).sqrt().clamp(min=LEAST_SINE)
                    coefficients[i, j] += length * (target * sine - cosine * wanted) / (lengths[j] * wanted)
                usual[pair] += self.beta * (cosine - target)
        return coefficients.sum(0).float(), {"cosines": usual}
