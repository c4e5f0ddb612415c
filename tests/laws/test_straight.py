"""Without gradients tokens go another way through the layers, to the same end."""

import sys
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

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


@torch.no_grad()
@pytest.mark.parametrize("kind", ["gelu", "gelu_new", "relu", "lora"])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("length", [1, 9, 65, 72])
def test_compiled_it_is_the_same_to_the_last_bit(
    kind: str, precision: torch.dtype, length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(straight, "all_at_once", lambda: asked.append(True) or alone.all_at_once())
    assert (alone.all_at_once() is not None) == (sys.version_info < (3, 14))
    encoder, packed = encoder_of(kind), pack_of([length])

    def found() -> list[torch.Tensor]:
        tokens = [encoder(packed, precision, firsts) for firsts in (False, True)]
        return [*tokens, encoder.vectors(packed, "mean", precision)]

    by_calls = found()
    assert not asked
    for _ in range(OFTEN):
        encoder(packed, precision)
    asked.clear()
    for at_once, wanted in zip(found(), by_calls, strict=True):
        torch.testing.assert_close(at_once, wanted, rtol=0, atol=0)
    assert len(asked) == (0 if length == 65 else 3)


@torch.no_grad()
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_it_is_compiled_for_from_the_seventeenth_text_on(pooling: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(straight, "all_at_once", lambda: asked.append(True) or alone.all_at_once())
    encoder = encoder_of()
    for number in range(1, OFTEN + 3):
        encoder.vectors(pack_of([5]), pooling, torch.float32)
        assert len(asked) == max(0, number - OFTEN)


def test_compiled_it_serves_encoders_of_any_size_with_gradients_off_in_any_way() -> None:
    found: dict[tuple[int, bool], torch.Tensor] = {}
    encoders = [encoder_of(), fresh_of(hidden_size=32, num_hidden_layers=3), encoder_of("relu")]
    for call in range(OFTEN + 4):
        for number, encoder in enumerate(encoders):
            for inference in (True, False):
                with torch.inference_mode() if inference else torch.no_grad():
                    vector = encoder.vectors(pack_of([3 + call % 2]), "mean", torch.float32).clone()
                wanted = found.setdefault((number, bool(call % 2)), vector)
                torch.testing.assert_close(vector, wanted, rtol=0, atol=0)
    encoder = encoders[0].train()
    assert not torch.equal(*(encoder.vectors(pack_of([9]), "mean", torch.float32) for _ in range(2)))
    with torch.no_grad():
        assert not torch.equal(*(encoder.vectors(pack_of([9]), "mean", torch.float32) for _ in range(2)))


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
