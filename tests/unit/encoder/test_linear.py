"""A linear layer that computes in the type of its input."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from minbert.encoder import linear
from minbert.encoder.layout import layout_of
from minbert.encoder.linear import FEW_SIZES, Linear, plain_products
from minbert.encoder.split import ByTask, kept_apart
from minbert.optimizer import AdamW


def pair(dtype: torch.dtype = torch.float32) -> tuple[Linear, nn.Linear, torch.Tensor]:
    torch.manual_seed(0)
    mine, other = Linear(48, 32), nn.Linear(48, 32)
    other.load_state_dict(mine.state_dict())
    return mine, other, torch.randn(20, 48).to(dtype)


@pytest.mark.parametrize("slow", [False, True])
def test_values_and_gradients_are_those_of_torch(slow: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where torch's own products are slow, and the matrix library's take their place."""
    monkeypatch.setattr(linear, "has_slow_products", lambda: slow)
    mine, other, x = pair()
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    back = torch.randn(20, 32)
    for layer, given in zip((mine, other), inputs, strict=True):
        layer(given).backward(back)
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad)
    torch.testing.assert_close(mine.weight.grad, other.weight.grad)
    torch.testing.assert_close(mine.bias.grad, other.bias.grad)


def test_in_bfloat16_the_gradients_of_the_weights_are_float32() -> None:
    mine, other, x = pair(torch.bfloat16)
    y = mine(x)
    y.backward(torch.ones_like(y))
    other(x.float()).backward(torch.ones(20, 32))
    assert y.dtype == torch.bfloat16 and mine.weight.grad.dtype == mine.bias.grad.dtype == torch.float32
    torch.testing.assert_close(mine.weight.grad, other.weight.grad, rtol=0.02, atol=0.1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.no_grad()
def test_without_gradients_weights_that_changed_are_laid_out_anew(dtype: torch.dtype) -> None:
    mine, _, x = pair(dtype)
    before = mine(x)
    assert torch.equal(mine(x), before)
    mine.weight.mul_(2)
    after = mine(x)
    wanted = torch.nn.functional.linear(x.float(), mine.weight.to(dtype).float(), mine.bias.to(dtype).float())
    assert not torch.equal(before, after)
    torch.testing.assert_close(after.float(), wanted, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_weights_that_the_optimizer_moved_are_rounded_and_laid_out_anew(decay: float) -> None:
    mine, _, x = pair(torch.bfloat16)
    optimizer = AdamW(mine.parameters(), lr=0.1, weight_decay=decay)
    for _ in range(2):
        before = mine(x)
        before.sum().backward()
        optimizer.step()
        for context in (torch.enable_grad, torch.no_grad):
            with context():
                found = mine(x)
                assert torch.equal(found, deepcopy(mine)(x)) and not torch.equal(found, before)


@torch.no_grad()
def test_what_was_laid_out_is_no_part_of_a_copy() -> None:
    mine, other, x = pair()
    mine(x)
    copied = deepcopy(mine).double()
    torch.testing.assert_close(copied(x.double()), other.double()(x.double()), rtol=1e-12, atol=1e-12)
    assert mine.state_dict().keys() == other.state_dict().keys()


@torch.inference_mode()
def test_weights_made_in_inference_mode_work_too() -> None:
    mine, other, x = pair()
    assert torch.equal(mine(x), other(x))
    mine.weight.mul_(2)
    assert not torch.equal(mine(x), other(x))


@torch.no_grad()
def test_plain_products_are_torchs_own() -> None:
    mine, other, x = pair()
    with plain_products():
        assert torch.equal(mine(x), other(x))


@pytest.mark.parametrize("wide", [16, 48])
def test_each_task_has_the_gradient_of_its_own_rows_from_few_sizes_of_products(
    wide: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    tokens, layer = [70, 150, 3, 100], Linear(32, wide)
    layout = layout_of([1] * sum(tokens), tokens)
    x, back, by_task = torch.randn(sum(tokens), 32), torch.randn(sum(tokens), wide), ByTask()
    sizes, times = [], linear._times
    monkeypatch.setattr(linear, "_times", lambda a, b, ctx: (sizes.append(len(b)), times(a, b, ctx))[1])
    with kept_apart((by_task, "abcd"), layout):
        out = layer(x)
    out.backward(back)
    for task, mine, others in zip("abcd", x.split(tokens), back.split(tokens), strict=True):
        torch.testing.assert_close(by_task.take(task, layer.weight), others.t() @ mine, rtol=1e-5, atol=1e-4)
        torch.testing.assert_close(by_task.take(task, layer.bias), others.sum(0), rtol=1e-5, atol=1e-4)
    assert sizes == [2 * FEW_SIZES, 3 * FEW_SIZES, 3, 2 * FEW_SIZES]
