"""Adapters on weights and vectors whose outputs were worked out by hand."""

import torch
from torch import nn

from minbert.encoder import BertConfig
from minbert.encoder.adapters import LowRank, Pal, ProjectedAttention
from minbert.encoder.layout import layout_of
from minbert.encoder.linear import Linear


def linear(weight: list[list[float]], bias: list[float]) -> Linear:
    layer = Linear(len(weight[0]), len(weight))
    layer.load_state_dict({"weight": torch.tensor(weight), "bias": torch.tensor(bias)})
    return layer


def low_rank(layer: Linear, pieces: int, a: list[list[float]], b: list[list[list[float]]], **more: int) -> LowRank:
    chosen = list(more.values()) or [0]
    made = LowRank(layer, pieces, chosen, len(a) // len(chosen), 2.0, torch.Generator())
    made.lora_a, made.lora_b = nn.Parameter(torch.tensor(a)), nn.Parameter(torch.tensor(b))
    return made


def test_lora() -> None:
    # W x + b = (1, 2) + (.5, 0); A x = 1 + 2 = 3; 2 B A x = (6, -12).
    made = low_rank(linear([[1.0, 0.0], [0.0, 1.0]], [0.5, 0.0]), 1, [[1.0, 1.0]], [[[1.0], [-2.0]]])
    assert made(torch.tensor([[1.0, 2.0]])).tolist() == [[7.5, -10.0]]
    assert made.plain().weight.tolist() == [[3.0, 2.0], [-4.0, -3.0]]


def test_lora_on_the_first_and_the_last_of_three_matrices() -> None:
    # A of the first reads x0, of the last x1; x = (1, 2): 2 * 10 * 1, nothing, 2 * 100 * 2.
    fused = linear([[0.0, 0.0]] * 3, [1.0, 2.0, 3.0])
    made = low_rank(fused, 3, [[1.0, 0.0], [0.0, 1.0]], [[[10.0]], [[100.0]]], query=0, value=2)
    assert made(torch.tensor([[1.0, 2.0]])).tolist() == [[21.0, 2.0, 403.0]]


def test_pal() -> None:
    # V_E picks h0; scores are 0, so each token gets the mean of its sequence's values 10 h0; V_D = (1, 2), bias (0, 1).
    sizes = BertConfig(
        vocab_size=1, hidden_size=2, num_hidden_layers=1, num_attention_heads=1, intermediate_size=1
    )  # fmt: skip
    pal = Pal(width=1, heads=1).build(sizes, torch.Generator())
    assert isinstance(pal, ProjectedAttention)
    pal.narrow, pal.widen = linear([[1.0, 0.0]], [0.0]), linear([[1.0], [2.0]], [0.0, 1.0])
    pal.layers[0] = linear([[0.0], [0.0], [10.0]], [0.0, 0.0, 0.0])
    hidden = torch.tensor([[7.0, 9.0], [1.0, 5.0], [3.0, 5.0]])
    with torch.no_grad():
        found = pal(0, hidden, layout_of([1, 2]))
        firsts = pal(0, hidden, layout_of([1, 2]), firsts=True)
    assert found.tolist() == [[70.0, 141.0], [20.0, 41.0], [20.0, 41.0]]
    assert firsts.tolist() == [[70.0, 141.0], [20.0, 41.0]]
