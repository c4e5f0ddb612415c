"""What merges that solve a small problem on the Gram matrix have in common."""

from collections.abc import Callable

import torch
from torch import Tensor

from minbert.shapes import Gram, Weights


def solved(gram: Gram, solve: Callable[[Tensor], Tensor]) -> Weights:
    """The weights that a method finds for the tasks that have a gradient; 1 for the others, where none does anything.

    So those others do not count among the T tasks of its formula.

    The method sees the Gram matrix in float64, divided by the mean of its diagonal: so a tolerance in it means the same
    at every size of the gradients, and gradients twice as long make an update twice as long.

    Args:
        gram: of the tasks of a step.
        solve: from such a matrix to a weight per row.
    """
    weights = torch.ones(len(gram))
    moving = gram.diagonal() > 0
    # A gradient of NaN is found, and named, when the weights are to be moved.
    if bool(moving.any()) and bool(gram.isfinite().all()):
        part = gram[moving][:, moving].double()
        weights[moving] = solve(part / part.diagonal().mean()).float()
    return weights


def root(gram: Tensor) -> Tensor:
    """R with `R^T R = gram`: vectors, one a column, that stand to each other as the tasks' gradients do."""
    values, vectors = torch.linalg.eigh(gram)
    lengths = values.clamp(min=0).sqrt()
    found: Tensor = lengths[:, None] * vectors.T
    return found


RIDGE = 1e-4
"""Added to the diagonal of a Gram matrix whose gradients may cancel out, where weights would grow without bound."""


def shared_out(gram: Tensor, alpha: float) -> Tensor:
    """The w above 0 with `G w = w^(-1 / alpha)`, the least of a convex function, by Newton's method within w > 0.

    Args:
        gram: with a diagonal of about 1.
        alpha: 0.5 to 10.
    """
    matrix, power = gram + RIDGE * torch.eye(len(gram), dtype=gram.dtype), 1 / alpha
    weights = torch.ones(len(gram), dtype=gram.dtype)
    for _ in range(STEPS):
        wanted = weights**-power
        step = torch.linalg.solve(matrix + torch.diag(power * wanted / weights), wanted - matrix @ weights) / weights
        # At most nine tenths of the way to 0.
        weights = weights * (1 + step * min(1.0, -0.9 / min(float(step.min()), -0.9)))
        if float(step.abs().max()) < ENOUGH:
            break
    return weights


STEPS, ENOUGH = 100, 1e-10
