"""The gradients of the tasks of one step on the shared weights, kept apart until they are merged."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import Parameter

import minbert.distributed as distributed
from minbert.shapes import Gram, Weights

Row = list[Tensor | None]


def summed(gradient: Tensor) -> Tensor:
    """A gradient with one entry per row: a sparse one that was accumulated holds a row as often as it occurred."""
    return gradient.coalesce() if gradient.is_sparse else gradient


LARGE = 1 << 15
"""Gradients of fewer numbers are put one behind the other for their norm: a call costs more than their numbers."""


def norm_of(gradients: Sequence[Tensor]) -> Tensor:
    """`sqrt(sum g^2)` over the numbers of all of them."""
    # On a processor by products with themselves, which take all threads; torch's norm of a tensor takes one.
    if any(gradient.device.type != "cpu" for gradient in gradients):
        return nn.utils.get_total_norm(gradients)
    flat = [gradient.flatten() for gradient in gradients]
    parts = [gradient for gradient in flat if len(gradient) >= LARGE]
    if len(parts) < len(flat):
        parts.append(torch.cat([gradient for gradient in flat if len(gradient) < LARGE]))
    return torch.stack([torch.dot(part, part) for part in parts]).sum().sqrt() if parts else torch.zeros(())


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

    def sort_out(self, tasks: Sequence[str], found: Callable[[str, Tensor], Tensor | None]) -> None:
        """Takes the gradients of several tasks, a row each, that one pass of all of them has left elsewhere.

        Args:
            tasks: in the order of the rows.
            found: the gradient of a task on a weight; None where it does not use it.
        """
        assert all(parameter.grad is None for parameter in self.shared), "a gradient of which the task is not known"
        for task in tasks:
            for parameter in self.shared:
                parameter.grad = found(task, parameter)
            self.take()

    def gram(self) -> Gram:
        """`g_i . g_j` over all shared parameters, summed in float64, on the CPU."""
        return products(self.rows).float()

    def put(self, weights: Weights) -> None:
        """Writes `sum_i weights_i g_i` into `.grad`; a parameter that no task used keeps none, and does not move."""
        factors, (places, small) = weights.tolist(), _small(self.rows)
        together = (weights.to(small) @ small).split([self.shared[place].numel() for place in places])
        merged = dict(zip(places, together, strict=True))
        for place, parameter in enumerate(self.shared):
            if place in merged:
                parameter.grad = merged[place].view_as(parameter)
                continue
            total: Tensor | None = None
            for weight, row in zip(factors, self.rows, strict=True):
                gradient = row[place]
                if gradient is not None and total is None:
                    total = gradient if weight == 1 else gradient.mul_(weight)
                elif gradient is not None and total is not None:
                    total = total.add_(gradient, alpha=weight)
            parameter.grad = None if total is None else summed(total)
        self.rows = []


def products(rows: Sequence[Row]) -> Tensor:
    """`g_i . g_j` of any two rows over the parameters that both use, (rows, rows), in float64, on the CPU.

    Large ones one after the other: the gradients of a parameter are still in the cache for the next pair.
    """
    places, small = _small(rows)
    pairs = [(i, j) for i in range(len(rows)) for j in range(i + 1)]
    found: dict[tuple[int, int], list[Tensor]] = {pair: [] for pair in pairs}
    for place in sorted(set(range(len(rows[0]))).difference(places)):
        gradients = [row[place] for row in rows]
        for i, j in pairs:
            left, right = gradients[i], gradients[j]
            if left is not None and right is not None:
                if left.is_sparse and right.is_sparse:
                    left, right = _common(left, right)
                found[i, j].append(torch.dot(left.flatten(), right.flatten()))
    gram = (small @ small.T).cpu().double()
    for (i, j), parts in found.items():
        if parts:
            gram[i, j] += torch.stack(parts).cpu().double().sum()
            gram[j, i] = gram[i, j]
    return gram


SMALL = 1 << 12
"""Gradients of fewer numbers, those of biases and norms, cost more for their calls than for their numbers."""


def _small(rows: Sequence[Row]) -> tuple[list[int], Tensor]:
    """The places of the small gradients that all rows have, and these one behind the other, (rows, numbers)."""
    places = [
        place
        for place, gradients in enumerate(zip(*rows, strict=True))
        if all(g is not None and not g.is_sparse and g.numel() < SMALL for g in gradients)
    ]
    if not places:
        return [], torch.zeros(len(rows), 0)
    together = [torch.cat([row[place].flatten() for place in places]) for row in rows]  # type: ignore[union-attr]
    return places, torch.stack(together)


def _common(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """The values of the rows that two sparse gradients share, in one order."""
    if left is right:
        return left.values(), right.values()
    mine, others = left.indices()[0], right.indices()[0]
    place = torch.searchsorted(mine, others).clamp_(max=len(mine) - 1)
    shared = (mine[place] == others).nonzero()[:, 0]
    return left.values().index_select(0, place[shared]), right.values().index_select(0, shared)
