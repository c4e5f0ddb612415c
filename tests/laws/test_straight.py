"""Without gradients tokens go another way through the layers, to the same end."""

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import minbert.encoder.alone as alone
import minbert.encoder.attention as attention
import minbert.encoder.straight as straight
from minbert.encoder import Bert, BertConfig, Encoder, Mpnet, MpnetConfig
from minbert.encoder.adapters import Lora
from minbert.encoder.attention import FEW
from minbert.encoder.bert import fresh
from minbert.encoder.firsts import attend_firsts
from minbert.encoder.linear import lays_out
from minbert.encoder.straight import OFTEN
from minbert.text.packed import Packed, pack
from minbert.text.tokenizer import Tokens

SIZES: dict[str, Any] = {
    "vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 24,
    "max_position_embeddings": 80,
}  # fmt: skip
LENGTHS = st.lists(st.integers(1, 20), min_size=1, max_size=12)
"""Of up to 12 sequences: more than `FEW` tokens, and fewer."""
law = settings(max_examples=25, deadline=None, derandomize=True)
pytestmark = pytest.mark.skipif(
    not lays_out(torch.device("cpu"), torch.float32), reason="torch has no matrix library here"
)


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def encoder_of(kind: str = "gelu") -> Encoder:
    """A small random encoder: an activation's name, or `mpnet`, or `lora`."""
    if kind == "mpnet":
        made: Encoder = Mpnet(MpnetConfig(**SIZES))
    else:
        made = Bert(BertConfig(**SIZES, hidden_act="gelu" if kind == "lora" else kind))
    fresh(made, 0.3, rng())
    if kind == "lora":
        Lora(rank=2, on=("query", "up", "down")).attach(made.blocks()[1:], rng())
        with torch.no_grad():
            for parameter in made.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=rng()), alpha=0.1)
    return made.eval()


def fresh_of(**sizes: Any) -> Encoder:
    made = Bert(BertConfig(**{**SIZES, **sizes}))
    fresh(made, 0.3, rng())
    return made.eval()


def pack_of(lengths: list[int]) -> Packed:
    ids = np.random.default_rng(sum(lengths)).integers(5, 50, sum(lengths))
    texts = np.split(ids, np.cumsum(lengths)[:-1])
    return pack([Tokens(text, np.arange(len(text)) % 2) for text in texts])


def both_ways(
    encoder: Encoder, packed: Packed, precision: torch.dtype, firsts: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """The straight way, and the usual one."""
    found = []
    for way in (straight.goes_straight, lambda device, precision: False):
        with pytest.MonkeyPatch.context() as patch, torch.no_grad():
            patch.setattr("minbert.encoder.encoder.goes_straight", way)
            found.append(encoder(packed, precision, firsts).float())
    return found[0], found[1]


@law
@given(LENGTHS, st.sampled_from(["gelu", "gelu_new", "relu", "mpnet", "lora"]), st.booleans())
def test_the_straight_way_leads_where_the_usual_one_does(lengths: list[int], kind: str, firsts: bool) -> None:
    mine, usual = both_ways(encoder_of(kind), pack_of(lengths), torch.float32, firsts)
    torch.testing.assert_close(mine, usual, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("length", [1, 9, 63, 64, 65, 71, 72, 75])
def test_one_sequence_does_not_see_the_rows_of_padding_behind_it(length: int) -> None:
    mine, usual = both_ways(encoder_of(), pack_of([length]), torch.float32, False)
    torch.testing.assert_close(mine, usual, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("lengths", [[1], [9], [9, 9], [3, 20], [5, 7, 30, 30, 80]])
def test_in_bfloat16_they_differ_by_its_rounding(lengths: list[int]) -> None:
    mine, usual = both_ways(encoder_of(), pack_of(lengths), torch.bfloat16, False)
    torch.testing.assert_close(mine, usual, rtol=0.05, atol=0.05)


def test_it_is_not_for_gradients_nor_for_types_that_the_matrix_library_has_not() -> None:
    cpu = torch.device("cpu")
    assert not straight.goes_straight(cpu, torch.float32)
    with torch.no_grad():
        assert straight.goes_straight(cpu, torch.float32) and straight.goes_straight(cpu, torch.bfloat16)
        assert not straight.goes_straight(cpu, torch.float64) and not straight.goes_straight(cpu, None)


class Graphs:
    """Counts the graphs that are made, and the sequences that go through them."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.made, self.runs = 0, 0
        patch.setattr(straight, "graph_of", self)

    def __call__(self, *given: Any) -> Any:
        graph = alone.graph_of(*given)
        assert (graph is not None) == (sys.version_info < (3, 14))
        if graph is None:
            return None
        self.made += 1

        def run(*given: torch.Tensor) -> torch.Tensor:
            self.runs += 1
            return graph(*given)

        return run


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> Graphs:
    monkeypatch.setattr(straight, "OFTEN", 0)
    return Graphs(monkeypatch)


needs_graphs = pytest.mark.skipif(sys.version_info >= (3, 14), reason="TorchScript is not for this Python")


@needs_graphs
@torch.no_grad()
@pytest.mark.parametrize("kind", ["gelu", "gelu_new", "relu", "lora"])
def test_a_graph_leads_where_the_calls_do(kind: str, graphs: Graphs, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = encoder_of(kind)

    def found(length: int) -> list[torch.Tensor]:
        packed = pack_of([length])
        tokens = [encoder(packed, torch.bfloat16, firsts).float() for firsts in (False, True)]
        return [*tokens, encoder.vectors(packed, "mean", torch.bfloat16)]

    for length in (1, 9, 16, 17, 71, 80):
        in_graphs = found(length)
        assert graphs.runs == 3
        with monkeypatch.context() as patch:
            patch.setattr(straight, "LONGEST", 0)
            by_calls = found(length)
        assert graphs.runs == 3
        graphs.runs = 0
        for one, other in zip(in_graphs, by_calls, strict=True):
            torch.testing.assert_close(one, other, rtol=0.05, atol=0.05)
    assert graphs.made == 3 * 3  # of 16, 32 and 80 rows


@torch.no_grad()
def test_there_are_none_in_float32_nor_for_long_or_heavy_ones(graphs: Graphs, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = fresh_of(max_position_embeddings=120)
    encoder(pack_of([9]), torch.float32)
    encoder(pack_of([97]), torch.bfloat16)
    encoder(pack_of([9, 9]), torch.bfloat16)
    fresh_of(max_position_embeddings=10)(pack_of([9]), torch.bfloat16)
    monkeypatch.setattr(straight, "LIGHT", 100)
    encoder(pack_of([9]), torch.bfloat16)
    encoder_of("mpnet")(pack_of([9]), torch.bfloat16)
    assert graphs.made == graphs.runs == 0


@needs_graphs
@torch.no_grad()
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_one_is_made_for_a_length_that_came_often(pooling: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    graphs, encoder = Graphs(monkeypatch), encoder_of()
    for number in range(1, OFTEN + 3):
        encoder.vectors(pack_of([5]), pooling, torch.bfloat16)
        encoder.vectors(pack_of([20]), pooling, torch.bfloat16)
        assert graphs.runs == 2 * max(0, number - OFTEN)
    assert graphs.made == 2


@needs_graphs
def test_a_graph_serves_with_gradients_off_in_any_way_and_in_several_threads(graphs: Graphs) -> None:
    encoders = [encoder_of(), fresh_of(hidden_size=32, num_hidden_layers=3), encoder_of("relu")]

    def vector(work: tuple[int, int, bool]) -> torch.Tensor:
        number, length, inference = work
        with torch.inference_mode() if inference else torch.no_grad():
            return encoders[number].vectors(pack_of([length]), "mean", torch.bfloat16).clone()

    works = [(number, length, off) for number in range(3) for length in (3, 4) for off in (True, False)] * 3
    wanted = {work[:2]: vector(work) for work in works}
    with ThreadPoolExecutor(4) as threads:
        for work, found in zip(works, threads.map(vector, works), strict=True):
            torch.testing.assert_close(found, wanted[work[:2]], rtol=0, atol=0)
    assert graphs.made == 3 and graphs.runs == 2 * len(works)
    encoder, packed = encoders[0].train(), pack_of([9])
    for off in (torch.no_grad, torch.enable_grad):
        with off():
            assert not torch.equal(*(encoder.vectors(packed, "mean", torch.bfloat16) for _ in range(2)))
    assert graphs.runs == 2 * len(works)


@needs_graphs
@torch.no_grad()
@pytest.mark.parametrize("place", ["layers.1.down.weight", "layers.0.norm.weight", "embeddings.word.weight"])
@pytest.mark.parametrize("change", ["by an operation", "other numbers in its place", "another tensor"])
def test_a_graph_holds_until_a_weight_changes(place: str, change: str, graphs: Graphs) -> None:
    encoder, other, packed = encoder_of(), encoder_of(), pack_of([5])
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


@needs_graphs
def test_what_torch_was_told_of_fusion_stands_afterwards() -> None:
    kind = alone.Kind(4, 1e-12, "gelu", "none")
    encoder = encoder_of()
    tables = [table.detach() for table in encoder.embeddings.tables()]  # type: ignore[operator, union-attr]
    for told in (True, False):
        torch.jit.enable_onednn_fusion(told)
        tensors = straight._tensors(encoder.layers[0], torch.bfloat16, laid_out=False)
        assert alone.graph_of(16, tables, tensors, kind, "mean") is not None
        assert torch.jit.onednn_fusion_enabled() == told


@torch.no_grad()
def test_another_part_in_a_layers_place_is_seen() -> None:
    encoder, other, packed = encoder_of(), encoder_of(), pack_of([5])
    encoder(packed, torch.float32)
    other.layers[1].down.weight.mul_(2.0)  # type: ignore[union-attr, operator]
    wanted = other(packed, torch.float32)
    encoder.layers[1] = other.layers[1]
    torch.testing.assert_close(encoder(packed, torch.float32), wanted, rtol=0, atol=0)
    again = encoder_of()
    again(packed, torch.float32)
    again.layers = other.layers
    torch.testing.assert_close(again(packed, torch.float32), wanted, rtol=0, atol=0)


def test_of_many_sequences_the_last_layer_computes_first_tokens_only(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(attention, "attend_firsts", lambda *given: seen.append(1) or attend_firsts(*given))
    encoder = encoder_of()
    with torch.no_grad():
        for lengths, wanted in (([FEW // 2] * 2, 0), ([1] + [FEW // 2] * 2, 1)):
            seen.clear()
            assert len(encoder(pack_of(lengths), torch.float32, firsts=True)) == len(lengths)
            assert len(seen) == wanted


@torch.no_grad()
def test_weights_that_changed_are_read_anew() -> None:
    encoder, packed = encoder_of(), pack_of([5])
    before = encoder(packed, torch.float32)
    encoder.layers[1].down.weight.mul_(2.0)  # type: ignore[union-attr, operator]
    assert not torch.allclose(encoder(packed, torch.float32), before)


@torch.no_grad()
@pytest.mark.parametrize("mode", ["few tokens", "many tokens", "with gradients"])
def test_other_numbers_in_a_weights_place_are_read_too(mode: str) -> None:
    encoder, packed = encoder_of(), pack_of([5] if mode == "few tokens" else [40, 40, 40])
    with torch.set_grad_enabled(mode == "with gradients"):
        before = encoder(packed, torch.bfloat16).detach()
        weights = list(encoder.parameters())
        torch.nn.utils.vector_to_parameters(1.5 * torch.nn.utils.parameters_to_vector(weights).detach(), weights)
        after = encoder(packed, torch.bfloat16).detach()
    wanted = encoder_of()
    wanted.load_state_dict(encoder.state_dict())
    with torch.set_grad_enabled(mode == "with gradients"):
        torch.testing.assert_close(after, wanted(packed, torch.bfloat16).detach(), rtol=0, atol=0)
    assert not torch.allclose(after, before)
