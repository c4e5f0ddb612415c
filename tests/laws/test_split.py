"""The tasks' gradients from one way back are those from a way back for each."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from tests.laws.test_straight import SIZES
from torch import Tensor

from minbert.encoder import Bert, BertConfig, ByTask
from minbert.encoder.bert import fresh
from minbert.encoder.layout import layout_of
from minbert.encoder.split import Split
from minbert.text.packed import Packed, pack
from minbert.text.tokenizer import Tokens

CASES: list[tuple[list[str], list[tuple[Any, ...]]]] = [
    (["a", "b"], [("mean",), ("mean",)]),
    (["a", "b", "c"], [("cls",), ("pooler",), ("cls",)]),
    (["a", "a", "b"], [("cls",), ("mean",), ("cls", "mean")]),
    (["a", "b", "a"], [("mean", "pooler"), ("cls",), ("cls",)]),
]


def packs(count: int) -> list[Packed]:
    rng = np.random.default_rng(0)
    made = []
    for number in range(count):
        sizes = rng.integers(1, 20 + 30 * number, 6)
        made.append(pack([Tokens(rng.integers(5, 50, n), np.arange(n) % 2) for n in sizes]))
    return made


def encoder_of(dropout: float = 0.3) -> Bert:
    made = Bert(BertConfig(**SIZES, hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout))
    fresh(made, 0.3, torch.Generator().manual_seed(0))
    for parameter in made.layers[0].parameters():  # type: ignore[union-attr]
        parameter.requires_grad_(False)
    return made.train()


def loss(vectors: Sequence[Tensor], number: int) -> Tensor:
    rng = torch.Generator().manual_seed(number)
    return torch.stack([(v * torch.randn(v.shape, generator=rng)).sum() for v in vectors]).sum()


def dense(gradient: Tensor | None) -> Tensor | None:
    return gradient.to_dense() if gradient is not None and gradient.is_sparse else gradient


@pytest.mark.parametrize(("tasks", "hows"), CASES)
@pytest.mark.parametrize("passes", [1, 2])
def test_one_pass_gives_what_a_pass_for_each_task_gives(
    tasks: list[str], hows: list[tuple[Any, ...]], passes: int
) -> None:
    encoder, given = encoder_of(), packs(len(tasks))
    weights = list(encoder.parameters())
    wanted: dict[tuple[str, int], Tensor | None] = {}
    for task in dict.fromkeys(tasks):
        mine = [number for number, one in enumerate(tasks) if one == task]
        for _ in range(passes):
            vectors = encoder.vectors_of([given[i] for i in mine], [hows[i] for i in mine], mine)
            torch.stack([loss(found, i) for i, found in zip(mine, vectors, strict=True)]).sum().backward()
        wanted |= {(task, place): dense(weight.grad) for place, weight in enumerate(weights)}
        encoder.zero_grad()
    by_task = ByTask()
    for _ in range(passes):
        vectors = encoder.vectors_of(given, hows, range(len(tasks)), owners=(by_task, tasks))
        torch.stack([loss(found, number) for number, found in enumerate(vectors)]).sum().backward()
    assert all(weight.grad is None for weight in weights)
    used = 0
    for (task, place), gradient in wanted.items():
        found = dense(by_task.take(task, weights[place]))
        assert (found is None) == (gradient is None)
        if found is not None and gradient is not None:
            torch.testing.assert_close(found, gradient, rtol=1e-4, atol=1e-5)
            used += 1
        assert by_task.take(task, weights[place]) is None
    assert used >= 10 * len(set(tasks))


def test_rows_are_cut_by_task_whether_they_stand_for_tokens_or_for_sequences() -> None:
    layout = layout_of([2, 3, 4, 1, 5], parts=[2, 1, 2])
    split = Split(ByTask(), ["a", "a", "b"], layout)
    assert split.rows(15) == [("a", slice(0, 9)), ("b", slice(9, 15))]
    assert split.rows(16) == [("a", slice(0, 9)), ("b", slice(9, 16))]
    assert split.rows(5) == [("a", slice(0, 3)), ("b", slice(3, 5))]
