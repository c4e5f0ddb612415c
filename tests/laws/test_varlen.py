"""Attention in one call, where a device has it: here with a kernel that works sequence by sequence in torch's place."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from tests.laws.test_straight import SIZES, encoder_of, pack_of
from torch import Tensor

from minbert.encoder import varlen
from minbert.encoder.attention import attend
from minbert.encoder.layout import layout_of
from minbert.encoder.varlen import TRIED, runs

CPU = torch.device("cpu")
LENGTHS = [1, 2, 7, 7, 30]


def one_by_one(q: Tensor, k: Tensor, v: Tensor, ends: Tensor, ends_k: Tensor, longest: int, longest_k: int) -> Tensor:
    """What torch's kernel is documented to do; of what it is given, nothing may be of another form."""
    assert ends.dtype == torch.int32 and ends is ends_k and ends[-1] == len(q) == len(k) == len(v)
    assert longest == longest_k == int(ends.diff().max()) and q.dtype == torch.bfloat16
    parts = []
    for start, stop in pairwise(ends.tolist()):
        a, b, c = (x[start:stop].float().transpose(0, 1) for x in (q, k, v))
        parts.append(((a @ b.mT * a.shape[-1] ** -0.5).softmax(-1) @ c).transpose(0, 1))
    return torch.cat(parts).to(q.dtype)


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many tokens the kernel was called with, one entry per call."""
    found: list[int] = []

    def kernel(q: Tensor, *given: Any) -> Tensor:
        found.append(len(q))
        return one_by_one(q, *given)

    monkeypatch.setattr(varlen, "kernel", lambda: kernel)
    runs.cache_clear()
    yield found
    runs.cache_clear()


def projected(rows: int, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    return torch.randn(rows, 3, 4, 8, generator=torch.Generator().manual_seed(0)).to(dtype).requires_grad_()


def test_one_call_says_what_the_groups_say_in_values_and_gradients(called: list[int]) -> None:
    tokens = sum(LENGTHS)
    back = torch.randn(tokens + 5, 4, 8, generator=torch.Generator().manual_seed(1)).bfloat16()
    found = []
    for bounded in (True, False):
        qkv = projected(tokens + 5)
        mixed = attend(qkv, layout_of(LENGTHS, bounded=bounded))
        assert not mixed[tokens:].any()
        found.append((mixed.detach(), *torch.autograd.grad(mixed, [qkv], back)))
    assert called == [sum(TRIED), tokens]
    for mine, wanted in zip(*found, strict=True):
        torch.testing.assert_close(mine, wanted, rtol=0.05, atol=0.03)


@pytest.mark.parametrize("why", ["dropout", "float32", "relative"])
def test_what_the_kernel_does_not_know_goes_by_groups(why: str, called: list[int]) -> None:
    layout, qkv = layout_of(LENGTHS, bounded=True), projected(sum(LENGTHS))
    if why == "relative":
        relative = tuple(torch.zeros(4, group.length, group.length) for group in layout.groups)
        layout = replace(layout, relative=relative)
    if why == "float32":
        qkv = projected(sum(LENGTHS), torch.float32)
    attend(qkv, layout, 0.5 if why == "dropout" else 0.0)
    assert called == []


def test_a_kernel_that_is_not_there_or_wrong_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    runs.cache_clear()
    assert not runs(CPU, 4, 8)
    monkeypatch.setattr(varlen, "kernel", lambda: lambda q, *given: one_by_one(q, *given) * 1.1)
    runs.cache_clear()
    assert not runs(CPU, 4, 8)
    runs.cache_clear()


def test_an_encoder_asks_it_in_every_layer(called: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, packed = encoder_of(), pack_of([40, 40, 40])
    with torch.no_grad():
        before = encoder(packed, torch.bfloat16).float()
        monkeypatch.setattr("minbert.encoder.bert.layout_of", lambda *given: layout_of(*given, bounded=True))
        after = encoder(packed, torch.bfloat16).float()
    assert called[1:] == [120] * SIZES["num_hidden_layers"]
    torch.testing.assert_close(before, after, rtol=0.05, atol=0.05)
