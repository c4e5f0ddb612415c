"""How the gradients of the tasks of one step stand to each other, layer by layer."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from minbert.gradients.per_task import Row, products

Grams = Float[Tensor, "groups tasks tasks"]


def group_grams(rows: Sequence[Row], groups: Sequence[Sequence[int]]) -> Grams:
    """`g_i . g_j` over each group of parameters, in float64.

    Args:
        rows: one per task: the gradient of each shared parameter.
        groups: the places in a row that belong to each group.

    Returns:
        A Gram matrix per group; their sum is that of the whole.
    """
    return torch.stack([products([[row[place] for place in places] for row in rows]) for places in groups])


def cosines(gram: Float[Tensor, "tasks tasks"]) -> list[float | None]:
    """`g_i . g_j / (||g_i|| ||g_j||)` for each pair i < j in order; None where a gradient is zero.

    Args:
        gram: of one group.
    """
    norms = gram.diagonal().sqrt()
    found: list[float | None] = []
    for i in range(len(gram)):
        for j in range(i + 1, len(gram)):
            length = float(norms[i] * norms[j])
            found.append(float(gram[i, j]) / length if length else None)
    return found
