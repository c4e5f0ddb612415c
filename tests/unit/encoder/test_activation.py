"""The activation of the feed-forward part, and its way back over what comes to it."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from minbert.encoder.activation import activated

NAMES: dict[str, Any] = {"gelu": F.gelu, "gelu_new": lambda x: F.gelu(x, approximate="tanh"), "relu": F.relu}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", NAMES)
def test_values_and_gradients_are_those_of_torch(name: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(40, 48).to(dtype), torch.randn(48, 8).to(dtype)
    found = []
    for act in (NAMES[name], lambda x: activated(x, name)):
        given = x.clone().requires_grad_()
        out = act(given)
        (out @ weight).sum().backward()
        found.append((out.detach(), given.grad))
    for wanted, mine in zip(*found, strict=True):
        assert torch.equal(wanted, mine)


def test_what_two_products_send_back_is_summed() -> None:
    torch.manual_seed(0)
    x, left, right = torch.randn(6, 5), torch.randn(5, 3), torch.randn(5, 4)
    found = []
    for act in (F.gelu, lambda x: activated(x, "gelu")):
        given = x.clone().requires_grad_()
        out = act(given)
        ((out @ left).sum() + (out @ right).square().sum()).backward()
        found.append(given.grad)
    torch.testing.assert_close(*found)
