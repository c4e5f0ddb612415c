"""A gradient that holds some rows only is worth what the dense one is: in the optimizer, and in merging."""

import pytest
import torch
from torch import nn

from minbert import AdamW
from minbert.gradients import TaskGradients


def gradient(step: int, rows: list[int]) -> torch.Tensor:
    values = torch.randn(len(rows), 7, generator=torch.Generator().manual_seed(step))
    return torch.sparse_coo_tensor(torch.tensor([rows]), values, (500, 7), check_invariants=True)


def test_adamw_moves_every_row_as_a_dense_gradient_would(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minbert.optimizer.adamw.BLOCK", 700)
    tables = [nn.Parameter(torch.ones(500, 7)) for _ in range(2)]
    optimizers = [AdamW([table], lr=0.01, weight_decay=0.1) for table in tables]
    everywhere = torch.full((500, 7), 0.1)
    for step, rows in enumerate(([3, 3, 499], [0, 99, 100, 101], [250], None, [3, 0, 498])):
        given = everywhere.clone() if rows is None else gradient(step, rows)
        tables[0].grad, tables[1].grad = given, given.to_dense()
        for optimizer in optimizers:
            optimizer.step()
    torch.testing.assert_close(tables[0], tables[1], rtol=0, atol=1e-7)
    assert (tables[0][200] != tables[0][3]).all()


def test_gram_and_merged_rows_are_those_of_dense_gradients() -> None:
    found = []
    for dense in (False, True):
        table = nn.Parameter(torch.zeros(500, 7))
        rows = TaskGradients([table])
        for step, chosen in enumerate(([3, 3, 499], [499, 7, 3], [250])):
            given = gradient(step, chosen)
            table.grad = given.to_dense() if dense else given
            rows.take()
        gram = rows.gram()
        rows.put(torch.tensor([1.0, -0.5, 2.0]))
        found.append((gram, table.grad.to_dense()))
    torch.testing.assert_close(found[0], found[1], rtol=1e-6, atol=1e-6)
    assert found[0][0][0, 2] == 0 and found[0][0][0, 1] != 0
