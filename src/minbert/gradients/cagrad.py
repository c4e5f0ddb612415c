"""The mean gradient, bent towards the task that gains least."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from minbert.gradients.merge import Merge
from minbert.gradients.solving import solved
from minbert.shapes import Gram, Weights

STATIONARY = 1e-4
"""A mixture of gradients that is shorter than this share of their length counts as none: no direction helps all."""


class CAGrad(Merge):
    """The d with `||d - g_0|| <= c ||g_0||`, g_0 the mean, for which the least `g_i . d` is largest.

    ```
    w = argmin g_w . g_0 + c ||g_0|| ||g_w||     over w >= 0, sum_i w_i = 1, with g_w = sum_i w_i g_i
    d = g_0 + c ||g_0|| / ||g_w|| g_w
    ```

    Attributes:
        c: how far from the mean, 0 or more; 0: the mean; from 1 on it may leave the mean's half-space.

    Source: Liu et al. 2021, "Conflict-Averse Gradient Descent", algorithm 1.
    Deviates: as there, not as in their code, d is not divided by `1 + c^2`. Where g_w comes to nothing, no
    direction helps all, and the update is 0, as torchjd's. A task without a gradient is left out.
    """

    kind: Literal["cagrad"] = "cagrad"
    c: float = Field(default=0.4, ge=0)

    def __call__(
        self, gram: Gram, state: dict[str, Any], rng: torch.Generator, tasks: Sequence[int]
    ) -> tuple[Weights, dict[str, Any]]:
        """`1 / T + c ||g_0|| / ||g_w|| w`."""
        return solved(gram, self._bent), state

    def _bent(self, gram: Tensor) -> Tensor:
        from scipy.optimize import minimize

        matrix, tasks = gram.numpy(), len(gram)
        even = np.full(tasks, 1 / tasks)
        towards = matrix @ even
        reach = self.c * np.sqrt(max(even @ towards, 0.0))

        def goal(w: np.ndarray) -> tuple[float, np.ndarray]:
            length = np.sqrt(max(w @ matrix @ w, STATIONARY**4))
            return float(w @ towards + reach * length), towards + reach / length * (matrix @ w)

        simplex = {"type": "eq", "fun": lambda w: w.sum() - 1, "jac": np.ones_like}
        found = minimize(
            goal, even, jac=True, method="SLSQP", bounds=[(0, 1)] * tasks, constraints=simplex, options={"ftol": 1e-14}
        ).x
        length = np.sqrt(max(found @ matrix @ found, 0.0))
        return torch.from_numpy(even + reach / length * found if length > STATIONARY else 0 * even)
