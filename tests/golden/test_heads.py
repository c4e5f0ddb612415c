"""Heads on weights and vectors whose outputs were worked out by hand."""

from collections.abc import Sequence

import pytest
import torch
from torch import nn

from minbert.heads import Both, Concat, Cosine, Difference, Head, Linear

U, V = [[1.0, 2.0]], [[3.0, 4.0]]
HALVE = ([[0.5, 0.0], [0.0, 0.5]], [0.0, 0.0])
ADD = ([[1.0, 1.0]], [0.0])
Weights = Sequence[tuple[list[list[float]], list[float]]]

# What head, the weights and biases of its linear layers, one vector or two, the scores.
TABLE: list[tuple[Head, Weights, list[list[list[float]]], list[float]]] = [
    # [3 + 2*4 + .5, -4]
    (Linear(), [([[1, 2], [0, -1]], [0.5, 0.0])], [V], [11.5, -4.0]),
    # 1 + 20 + 300 + 4000 + .5
    (Concat(), [([[1, 10, 100, 1000]], [0.5])], [U, V], [4321.5]),
    # The sums are 3 and 7; 2*3 - 7.
    (Concat(project=1), [ADD, ([[2, -1]], [0.0])], [U, V], [-1.0]),
    # |u - v| = [2, 2], u v = [3, 8]: 2 + 20 + 300 + 8000.
    (Difference(), [([[1, 10, 100, 1000]], [0.0])], [U, V], [8322.0]),
    # Halved: |u - v| = [1, 1], u v = [.75, 2]: 1 + 10 + 75 + 2000 + 1.
    (Difference(project=2), [HALVE, ([[1, 10, 100, 1000]], [1.0])], [U, V], [2087.0]),
    # (3*4 + 4*3) / 25
    (Cosine(), [], [V, [[4.0, 3.0]]], [0.96]),
    # v = [1, 2], |a - b| = [1, 1], a b = [12, 12], 20 cos = 19.2: 1 + 20 + 3 + 4 + 60 + 72 + 19.2 + .5
    (Both(), [([[1, 10, 3, 4, 5, 6, 1]], [0.5])], [U, V, [[4.0, 3.0]]], [179.7]),
    # Only the first places count: 1 and -1.
    (Cosine(project=1), [([[1, 0]], [0.0])], [U, [[-5.0, 7.0]]], [-1.0]),
]


@pytest.mark.parametrize(("head", "weights", "vectors", "scores"), TABLE, ids=lambda given: getattr(given, "kind", ""))
def test_scores(head: Head, weights: Weights, vectors: list[list[list[float]]], scores: list[float]) -> None:
    module = head.build(2, len(scores)).eval()
    layers = [part for part in module.modules() if isinstance(part, nn.Linear)]
    for layer, (matrix, bias) in zip(layers, weights, strict=True):
        layer.load_state_dict({"weight": torch.tensor(matrix).float(), "bias": torch.tensor(bias)})
    found = module(*map(torch.tensor, vectors)).scores
    assert found.tolist() == [pytest.approx(scores, abs=1e-5)]
