"""Residual, dropout and norm in one piece."""

import pytest
import torch
import torch.nn.functional as F

from minbert.encoder.norm import AddNorm


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_gradients_agree_with_finite_differences(share: float) -> None:
    torch.manual_seed(0)
    norm = AddNorm(6, 1e-5, share).double().train()
    residual, branch = (torch.randn(4, 6, dtype=torch.float64, requires_grad=True) for _ in range(2))

    def run(a: torch.Tensor, b: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(1)
        return norm(a, b)

    assert torch.autograd.gradcheck(run, [residual, branch, norm.weight, norm.bias])


def test_dropout_is_for_training_only_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    norm, ones = AddNorm(1000, 0.0, 0.25), torch.ones(200, 1000)
    spread = torch.linspace(-1, 1, 1000).expand(200, -1)
    torch.testing.assert_close(norm.eval()(spread, ones), F.layer_norm(spread + ones, (1000,)), rtol=1e-4, atol=1e-4)
    dropped = norm.train()(spread, ones)
    # Dropped elements are spread alone, the others spread plus 4/3: variance 1/3 + 1/3, mean 1.
    wanted = spread / (2 / 3) ** 0.5
    assert (dropped.detach().mean(0) - wanted[0]).abs().max() < 0.25
    assert len(torch.unique((dropped[0] * (2 / 3) ** 0.5 - spread[0]).round(decimals=0))) == 2


def test_in_bfloat16_sums_are_float32() -> None:
    torch.manual_seed(0)
    norm = AddNorm(256, 1e-12, 0.0)
    residual, branch = torch.randn(8, 256).bfloat16(), torch.randn(8, 256).bfloat16()
    wanted = F.layer_norm((residual + branch).float(), (256,))
    for found in (norm(residual, branch), norm.eval()(residual, branch)):
        assert found.dtype == torch.bfloat16
        torch.testing.assert_close(found.float(), wanted, rtol=0.01, atol=0.01)
