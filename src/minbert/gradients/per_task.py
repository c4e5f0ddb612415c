"""The gradients of the tasks of one step on the shared weights, kept apart until they are merged."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import Parameter

import minbert.distributed as distributed
from minbert.shapes import Gram, Weights

Row = list[Tensor | None]


def summed(gradient: Tensor) -> Tensor:
    """A gradient with one entry per row: a sparse one that was accumulated holds a row as often as it occurred."""
    return gradient.coalesce() if gradient.is_sparse else gradient


def add_gradients(parameters: Sequence[Parameter]) -> None:
    """Sums `.grad` over the processes, each of which has the gradient of its share of the rows."""
    if distributed.size() == 1:
        return
    used = [parameter for parameter in parameters if parameter.grad is not None]
    for parameter in used:
        # The processes have met other words.
        parameter.grad = parameter.grad.to_dense() if parameter.grad is not None else None
    distributed.add([parameter.grad for parameter in used if parameter.grad is not None])


class TaskGradients:
    """One row per task: the gradient of each shared parameter, or None where the task does not use it.

    Args:
        shared: the shared parameters that are trained.
    """

    def __init__(self, shared: Sequence[Parameter]) -> None:
        self.shared = list(shared)
        self.rows: list[Row] = []

    def take(self) -> None:
        """Takes what the backward passes of one task left in `.grad` as a new row, and clears it."""
        add_gradients(self.shared)
        self.rows.append([None if p.grad is None else summed(p.grad) for p in self.shared])
        for parameter in self.shared:
            parameter.grad = None

    def gram(self) -> Gram:
        """`g_i . g_j` over all shared parameters, summed in float64, on the CPU."""
        tasks = len(self.rows)
        gram = torch.zeros(tasks, tasks, dtype=torch.float64)
        for i in range(tasks):
            for j in range(i + 1):
                gram[i, j] = gram[j, i] = dot(self.rows[i], self.rows[j])
        return gram.float()

    def put(self, weights: Weights) -> None:
        """Writes `sum_i weights_i g_i` into `.grad`; a parameter that no task used keeps none, and does not move."""
        for place, parameter in enumerate(self.shared):
            parts = [(w, row[place]) for w, row in zip(weights.tolist(), self.rows, strict=True)]
            total: Tensor | None = None
            for weight, gradient in parts:
                if gradient is not None:
                    total = gradient.mul_(weight) if total is None else total.add_(gradient, alpha=weight)
            parameter.grad = None if total is None else summed(total)
        self.rows = []


def dot(left: Row, right: Row) -> Tensor:
    """`g_i . g_j` over the parameters that both tasks use, in float64, on the CPU."""
    pairs = [(a, b) for a, b in zip(left, right, strict=True) if a is not None and b is not None]
    total = torch.zeros((), dtype=torch.float64)
    for a, b in pairs:
        if a.is_sparse and b.is_sparse:
            a, b = _common(a, b)
        total += torch.dot(a.flatten(), b.flatten()).cpu().double()
    return total


def _common(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """The values of the rows that two sparse gradients share, in one order."""
    mine, others = left.indices()[0], right.indices()[0]
    place = torch.searchsorted(mine, others).clamp_(max=len(mine) - 1)
    shared = mine[place] == others
    return left.values()[place[shared]], right.values()[shared]
