"""Every adapter begins as the identity; a task's acts on the task's part of a pack; LoRA is what it is merged into."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from minbert.encoder import (
    AnyAdapter,
    Bert,
    BertConfig,
    Mpnet,
    MpnetConfig,
    Pooling,
    TaskAdapter,
    fold,
    folded,
    low_rank_parameters,
)
from minbert.encoder.adapters import Adapter, Lora, LowRank, Pal
from minbert.encoder.bert import fresh
from minbert.encoder.layer import Layer
from minbert.text.packed import pack
from minbert.text.tokenizer import Tokens

SIZES = BertConfig(
    vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=24,
    max_position_embeddings=40,
)  # fmt: skip
MEMBERS: dict[str, Any] = AnyAdapter.__metadata__[0].members  # type: ignore[attr-defined]
SMALL: dict[str, dict[str, Any]] = {"pal": {"width": 6, "heads": 2}}
ALL = Lora(rank=2, alpha=3, on=("query", "key", "value", "output", "up", "down"))
law = settings(max_examples=12, deadline=None, derandomize=True)
LENGTHS = st.lists(st.integers(1, 40), min_size=1, max_size=8)
POOLINGS: list[Pooling] = ["mean", "cls", "pooler"]


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def bert_of(adapter: Adapter | None = None) -> Bert:
    bert = Bert(SIZES).eval()
    fresh(bert, 0.3, rng(1))
    if adapter:
        adapter.attach(bert.blocks()[1:], rng())
    return bert


def stirred(module: torch.nn.Module, seed: int = 0) -> Any:
    """A part of a model whose weights are no longer where they began."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(0, 0.3, generator=rng(seed))
    return module


def pal_of(seed: int) -> TaskAdapter:
    return stirred(Pal(width=6, heads=2).build(SIZES, rng()), seed)  # type: ignore[no-any-return]


def packed_of(lengths: list[int], seed: int = 0) -> Any:
    draws = np.random.default_rng(seed)
    return pack([Tokens(draws.integers(0, 50, n), draws.integers(0, 2, n)) for n in lengths])


@pytest.mark.parametrize("kind", sorted(MEMBERS))
def test_an_adapter_begins_as_the_identity(kind: str) -> None:
    adapter = MEMBERS[kind](**SMALL.get(kind, {}))
    plain, adapted, packed = bert_of(), bert_of(adapter), packed_of([3, 17, 40])
    own = adapter.build(SIZES, rng())
    for how in POOLINGS:
        with torch.inference_mode():
            expected = plain.vectors(packed, how)
            ((found,),) = adapted.vectors_of([packed], [(how,)], None, [own])
        # Without an adapter so few tokens go a way of their own, which rounds otherwise.
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", sorted(MEMBERS))
def test_all_of_an_adapter_learns(kind: str) -> None:
    adapter = MEMBERS[kind](**SMALL.get(kind, {}))
    bert = bert_of(adapter)
    own = adapter.build(SIZES, rng())
    parameters = [*low_rank_parameters(bert), *(own.parameters() if own else ())]
    with torch.no_grad():
        for parameter in parameters:
            parameter.normal_(0, 0.3, generator=rng())
    ((found,),) = bert.vectors_of([packed_of([3, 17])], [("mean",)], None, [own])
    found.square().sum().backward()
    assert parameters and all(parameter.grad is not None and parameter.grad.any() for parameter in parameters)


@settings(max_examples=8, deadline=None, derandomize=True)
@given(first=LENGTHS, second=LENGTHS, third=LENGTHS, hows=st.lists(st.sampled_from(POOLINGS), min_size=3, max_size=3))
def test_each_task_of_a_pack_gets_what_it_gets_alone(
    first: list[int], second: list[int], third: list[int], hows: list[Pooling]
) -> None:
    bert, packs = bert_of(ALL).train(), [packed_of(n, i) for i, n in enumerate((first, second, third))]
    one, other = pal_of(1), pal_of(2)
    for adapters in ([one, other, None], [one, one, other], [None, one, one]):
        together = bert.vectors_of(packs, [(how,) for how in hows], range(3), adapters)
        for number, (vectors,) in enumerate(together):
            ((alone,),) = bert.vectors_of([packs[number]], [(hows[number],)], [number], [adapters[number]])
            torch.testing.assert_close(vectors, alone, rtol=0, atol=1e-5)


def test_mpnet_takes_adapters_too() -> None:
    sizes = MpnetConfig(**{**SIZES.model_dump(exclude={"model_type", "type_vocab_size"}), "vocab_size": 54})
    mpnet = Mpnet(sizes).eval()
    fresh(mpnet, 0.3, rng(1))
    packs, pal = [packed_of([3, 9]), packed_of([5, 30], 1)], pal_of(1)
    plain = [found[0] for found in mpnet.vectors_of(packs, [("mean",)] * 2)]
    ALL.attach(mpnet.blocks()[1:], rng())
    for parameter in low_rank_parameters(mpnet):
        parameter.data.normal_(0, 0.02, generator=rng())
    own, none = (found[0] for found in mpnet.vectors_of(packs, [("mean",)] * 2, None, [pal, None]))
    assert (own - plain[0]).abs().max() > 0.01 and (none - plain[1]).abs().max() > 1e-4
    fold(mpnet)
    torch.testing.assert_close(mpnet.vectors(packs[1], "mean"), none, rtol=0, atol=1e-5)


def test_the_adapter_of_another_task_gets_no_gradient() -> None:
    bert, mine, other = bert_of(), pal_of(1), pal_of(2)
    found = bert.vectors_of([packed_of([3, 9]), packed_of([5, 5], 1)], [("mean",)] * 2, None, [mine, other])
    found[0][0].square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in mine.parameters())
    assert not any(parameter.grad is not None and parameter.grad.any() for parameter in other.parameters())


def test_a_layer_with_a_pal_is_its_formula() -> None:
    bert, pal = bert_of(), pal_of(3)
    layer, packed = bert.layers[0], packed_of([7])
    assert isinstance(layer, Layer)
    with torch.no_grad():
        h = bert.embeddings(packed, torch.float32)
        q, k, v = pal.layers[0](pal.narrow(h)).view(7, 3, 2, 3).permute(1, 2, 0, 3)  # type: ignore[operator, index]
        mixed = torch.softmax(q @ k.mT / 3**0.5, -1) @ v
        extra = pal.widen(mixed.transpose(0, 1).reshape(7, 6))  # type: ignore[operator]
        noted: list[torch.Tensor] = []
        layer.attention_norm.register_forward_hook(lambda module, given, out: noted.append(out))
        one = Bert(SIZES.model_copy(update={"num_hidden_layers": 1})).eval()
        one.load_state_dict({n: t for n, t in bert.state_dict().items() if not n.startswith("layers.1.")})
        found = one(packed, torch.float32, False, None, [pal])
        from_embeddings = bert(packed)
        h_attn = noted[0]
        h_ffn = layer.down(F.gelu(layer.up(h_attn)))
        expected = F.layer_norm(
            h_ffn + (h_attn + extra), (16,), layer.norm.weight, layer.norm.bias, SIZES.layer_norm_eps
        )
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert (found - from_embeddings).abs().max() > 0.1


@pytest.mark.parametrize(("dtype", "size", "away"), [(torch.float64, 0.3, 1e-9), (torch.float32, 0.05, 1e-5)])
@law
@given(on=st.lists(st.sampled_from(ALL.on), min_size=1, max_size=6, unique=True), rank=st.integers(1, 4))
def test_lora_is_what_it_is_merged_into(on: list[Any], rank: int, dtype: torch.dtype, size: float, away: float) -> None:
    bert, packed = bert_of(Lora(rank=rank, on=tuple(on))).to(dtype), packed_of([3, 17, 40])
    for parameter in low_rank_parameters(bert):
        parameter.data.normal_(0, size, generator=rng(rank))
    with torch.no_grad():
        expected, plain = bert(packed), bert_of().to(dtype)(packed)
        with folded(bert):
            assert not low_rank_parameters(bert) and set(bert.state_dict()) == set(bert_of().state_dict())
            inside = bert(packed)
        again = bert(packed)
        fold(bert)
        after = bert(packed)
    torch.testing.assert_close(inside, expected, rtol=0, atol=away)
    assert torch.equal(again, expected) and torch.equal(after, inside)
    assert (expected - plain).abs().max() > 1e-3


def test_lora_changes_what_it_is_on_and_nothing_else() -> None:
    bert = bert_of(Lora(on=("key", "down")))
    for parameter in low_rank_parameters(bert):
        parameter.data.normal_(0, 0.2, generator=rng())
    fold(bert)
    before = bert_of().state_dict()
    changed = {name for name, tensor in bert.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {f"layers.{i}.{n}.weight" for i in range(2) for n in ("attention.projection", "down")}
    query, key, value = (bert.state_dict()["layers.0.attention.projection.weight"]
                         - before["layers.0.attention.projection.weight"]).chunk(3)  # fmt: skip
    assert key.any() and not query.any() and not value.any()


def test_lora_alone_leaves_the_weights_without_a_way_back() -> None:
    bert = bert_of(Lora())
    bert.requires_grad_(False)
    for parameter in low_rank_parameters(bert):
        parameter.requires_grad_(True)
    bert.vectors(packed_of([4, 9]), "mean").sum().backward()
    moved = {name for name, parameter in bert.named_parameters() if parameter.grad is not None}
    assert moved == {f"layers.{i}.attention.projection.lora_{x}" for i in range(2) for x in "ab"}
    assert sum(isinstance(part, LowRank) for part in bert.modules()) == 2
