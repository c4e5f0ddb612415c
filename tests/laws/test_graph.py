"""One short sequence in bfloat16 goes through a graph for its length, to the same end."""

import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import minbert.encoder.graph as graph
import minbert.encoder.straight as straight
from minbert.encoder import Bert, BertConfig
from minbert.encoder.adapters import Lora
from minbert.encoder.bert import fresh
from minbert.encoder.linear import lays_out
from minbert.encoder.straight import OFTEN, OFTEN_OF_A_LENGTH
from minbert.text.packed import Packed, pack
from minbert.text.tokenizer import Tokens

pytestmark = pytest.mark.skipif(
    sys.version_info >= (3, 14) or not lays_out(torch.device("cpu"), torch.bfloat16),
    reason="torch has no graphs with a matrix library here",
)


def encoder_of(activation: str = "gelu", width: int = 16, layers: int = 2, places: int = 80) -> Bert:
    """Small, with random weights."""
    sizes = {"vocab_size": 50, "hidden_size": width, "num_hidden_layers": layers, "max_position_embeddings": places}
    made = Bert(BertConfig(**sizes, num_attention_heads=4, intermediate_size=24, hidden_act=activation))
    fresh(made, 0.3, torch.Generator().manual_seed(0))
    return made.eval()


def one(length: int) -> Packed:
    """A pack of one sequence."""
    ids = np.random.default_rng(length).integers(5, 50, length)
    return pack([Tokens(ids, ids % 2)])


class Graphs:
    """Counts the graphs that are made, and the sequences that go through them."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.made, self.runs = 0, 0
        patch.setattr(straight, "graph_of", self)

    def __call__(self, *given: Any) -> Any:
        found = graph.graph_of(*given)
        assert found is not None
        self.made += 1

        def run(*given: torch.Tensor) -> torch.Tensor:
            self.runs += 1
            return found(*given)

        return run


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> Graphs:
    monkeypatch.setattr(straight, "OFTEN", 0)
    monkeypatch.setattr(straight, "OFTEN_OF_A_LENGTH", 0)
    return Graphs(monkeypatch)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["gelu", "gelu_new", "relu", "lora"])
def test_a_graph_leads_where_the_calls_do(kind: str, graphs: Graphs, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = encoder_of("gelu" if kind == "lora" else kind)
    if kind == "lora":
        Lora(rank=2, on=("query", "up", "down")).attach(encoder.blocks()[1:], torch.Generator().manual_seed(0))
        for parameter in encoder.parameters():
            parameter.add_(0.1)

    def found(length: int) -> list[torch.Tensor]:
        packed = one(length)
        tokens = [encoder(packed, torch.bfloat16, firsts).float() for firsts in (False, True)]
        return [*tokens, encoder.vectors(packed, "mean", torch.bfloat16)]

    for length in (1, 9, 16, 17, 71, 80):
        in_graphs = found(length)
        assert graphs.runs == 3
        with monkeypatch.context() as patch:
            patch.setattr(straight, "OFTEN", 1 << 20)
            by_calls = found(length)
        assert graphs.runs == 3
        graphs.runs = 0
        for mine, other in zip(in_graphs, by_calls, strict=True):
            torch.testing.assert_close(mine, other, rtol=0.05, atol=0.05)
    assert graphs.made == 3 * 3  # of 16, 32 and 80 rows


@torch.no_grad()
def test_there_are_none_in_float32_nor_for_long_or_heavy_ones(graphs: Graphs, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = encoder_of(places=120)
    encoder(one(9), torch.float32)
    encoder(one(97), torch.bfloat16)
    encoder_of(places=10)(one(9), torch.bfloat16)
    monkeypatch.setattr(straight, "LIGHT", 100)
    encoder(one(9), torch.bfloat16)
    assert graphs.made == graphs.runs == 0


@torch.no_grad()
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_one_is_made_for_a_length_that_came_often(pooling: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    graphs, encoder = Graphs(monkeypatch), encoder_of()
    for _ in range(OFTEN):
        encoder.vectors(one(5), pooling, torch.bfloat16)
    for number in range(1, OFTEN_OF_A_LENGTH + 3):
        encoder.vectors(one(5), pooling, torch.bfloat16)
        encoder.vectors(one(20), pooling, torch.bfloat16)
        assert graphs.runs == 2 * max(0, number - OFTEN_OF_A_LENGTH)
    assert graphs.made == 2


def test_a_graph_serves_with_gradients_off_in_any_way_and_in_several_threads(graphs: Graphs) -> None:
    encoders = [encoder_of(), encoder_of(width=32, layers=3), encoder_of("relu")]

    def vector(work: tuple[int, int, bool]) -> torch.Tensor:
        number, length, inference = work
        with torch.inference_mode() if inference else torch.no_grad():
            return encoders[number].vectors(one(length), "mean", torch.bfloat16).clone()

    works = [(number, length, off) for number in range(3) for length in (3, 4) for off in (True, False)] * 3
    wanted = {work[:2]: vector(work) for work in works}
    with ThreadPoolExecutor(4) as threads:
        for work, found in zip(works, threads.map(vector, works), strict=True):
            torch.testing.assert_close(found, wanted[work[:2]], rtol=0, atol=0)
    assert graphs.made == 3 and graphs.runs == 2 * len(works)
    encoder, packed = encoders[0].train(), one(9)
    for off in (torch.no_grad, torch.enable_grad):
        with off():
            assert not torch.equal(*(encoder.vectors(packed, "mean", torch.bfloat16) for _ in range(2)))
    assert graphs.runs == 2 * len(works)


@torch.no_grad()
@pytest.mark.parametrize("place", ["layers.1.down.weight", "layers.0.norm.weight", "embeddings.word.weight"])
@pytest.mark.parametrize("change", ["by an operation", "other numbers in its place", "another tensor"])
def test_a_graph_holds_until_a_weight_changes(place: str, change: str, graphs: Graphs) -> None:
    encoder, other, packed = encoder_of(), encoder_of(), one(5)
    before = encoder(packed, torch.bfloat16)
    for part in (encoder, other):
        weight = part.get_parameter(place)
        if change == "by an operation" or part is other:
            weight.mul_(2.0)
        elif change == "other numbers in its place":
            weight.data = 2.0 * weight.data
        else:
            setattr(part.get_submodule(place.rpartition(".")[0]), place.rpartition(".")[2], nn.Parameter(2.0 * weight))
    after = encoder(packed, torch.bfloat16)
    torch.testing.assert_close(after, other(packed, torch.bfloat16), rtol=0, atol=0)
    assert not torch.allclose(after, before)
    encoder(packed, torch.bfloat16)
    assert graphs.made == 3


def test_what_torch_was_told_of_fusion_stands_afterwards() -> None:
    kind = graph.Kind(4, 1e-12, "gelu", "none")
    encoder = encoder_of()
    tables = [table.detach() for table in encoder.embeddings.tables()]  # type: ignore[operator]
    for told in (True, False):
        torch.jit.enable_onednn_fusion(told)
        tensors = straight._tensors(encoder.layers, lambda part: part.as_it_is(torch.bfloat16))
        assert graph.graph_of(16, tables, tensors, kind, "mean") is not None
        assert torch.jit.onednn_fusion_enabled() == told


@torch.no_grad()
@pytest.mark.parametrize("fault", ["refused", "not prepared", "wrong"])
def test_what_cannot_be_prepared_or_is_wrong_goes_by_calls(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder, keeper = (getattr(torch._C, name) for name in graph.RECORDING)

    def kept(name: str, record: Any) -> Any:
        if fault == "refused":
            raise RuntimeError("could not add op to the graph")
        made = keeper(name, record)
        return made if fault == "not prepared" else lambda *given: 1.2 * made(*given)

    for name, function in zip(graph.RECORDING, (recorder, kept), strict=True):
        monkeypatch.setattr(torch._C, name, function)
    if fault == "not prepared":
        monkeypatch.setattr(graph, "_products_prepared", nullcontext)
    monkeypatch.setattr(straight, "OFTEN", 0)
    encoder = encoder_of()
    wanted = encoder(one(9), torch.bfloat16)
    monkeypatch.setattr(straight, "OFTEN_OF_A_LENGTH", 0)
    for _ in range(2):
        torch.testing.assert_close(encoder(one(9), torch.bfloat16), wanted, rtol=0, atol=0)
    assert list(encoder._line._graphs.values()) == [None]
