"""The shortest vector among all mixtures of the gradients."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from minbert.gradients.merge import Merge
from minbert.gradients.solving import root, solved
from minbert.shapes import Gram, Weights


class MGDA(Merge):
    """`w = argmin ||sum_i w_i g_i||^2` with `w >= 0, sum_i w_i = 1`: no task gets worse, and small gradients rule.

    Source: Désidéri 2012, "Multiple-gradient descent algorithm"; Sener & Koltun 2018, equation 3.
    Deviates: solved exactly, as least squares with `w >= 0`. Frank-Wolfe, which both Sener & Koltun's code and
    torchjd use, stops near the answer; where exactly depends on the last digit of the gradients. A task without a
    gradient is left out: with it the answer would be 0.
    """

    kind: Literal["mgda"] = "mgda"

    def __call__(
        self, gram: Gram, state: dict[str, Any], rng: torch.Generator, tasks: Sequence[int]
    ) -> tuple[Weights, dict[str, Any]]:
        """Shares that sum to 1."""
        return solved(gram, _shortest), state


def _shortest(gram: Tensor) -> Tensor:
    """With `sum_i w_i = 1` as one more equation, not a constraint, the answer is the same but for its size."""
    from scipy.optimize import nnls

    tasks = len(gram)
    shares, _ = nnls(np.vstack([root(gram).numpy(), np.ones(tasks)]), np.append(np.zeros(tasks), 1.0))
    return torch.from_numpy(shares / shares.sum())
