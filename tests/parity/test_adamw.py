"""AdamW against torch's: the same but for where eps stands and how the decay is rounded."""

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from minbert.optimizer import AdamW, AdamWSpec
from minbert.optimizer.adamw import BLOCK

STEPS = 200


def trained(kind: type[torch.optim.Optimizer], eps: float, decay: float) -> Tensor:
    """The weights of a small regression after some steps, in float64 so that only the formulae differ."""
    generator = torch.Generator().manual_seed(0)
    inputs, aim = (torch.randn(size, 4, generator=generator, dtype=torch.float64) for size in (32, 32))
    weight = nn.Parameter(torch.randn(4, 4, generator=generator, dtype=torch.float64))
    optimizer = kind([weight], lr=1e-2, betas=(0.9, 0.999), eps=eps, weight_decay=decay)  # type: ignore[call-arg]
    for _ in range(STEPS):
        optimizer.zero_grad()
        (inputs @ weight - aim).square().mean().backward()
        optimizer.step()
    return weight.detach()


def test_without_eps_and_decay_they_are_the_same() -> None:
    assert torch.allclose(trained(AdamW, 0.0, 0.0), trained(torch.optim.AdamW, 0.0, 0.0), rtol=0, atol=1e-12)


def test_decay_comes_after_the_step_there_before_it() -> None:
    # Per step they differ by lr * decay times the step, 1e-4 * 1e-2, and the regression pulls both to one place.
    apart = (trained(AdamW, 0.0, 0.01) - trained(torch.optim.AdamW, 0.0, 0.01)).abs().max()
    assert 0 < float(apart) < 1e-6 * STEPS


def test_eps_on_the_uncorrected_root_is_the_larger_one() -> None:
    # Theirs is ours with eps * sqrt(1 - b2^t), which tells most in the first steps.
    apart = (trained(AdamW, 1e-6, 0.0) - trained(torch.optim.AdamW, 1e-6, 0.0)).abs().max()
    assert 0 < float(apart) < 1e-4


@pytest.mark.parametrize("size", [1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 3])
def test_blocks_change_nothing(size: int) -> None:
    generator = torch.Generator().manual_seed(size)
    start, gradient = torch.randn(size, generator=generator), torch.randn(size, generator=generator)
    whole, double = nn.Parameter(start.clone()), nn.Parameter(start.double())
    for weight in (whole, double):
        optimizer = AdamW([weight], lr=0.1, weight_decay=0.1)
        for _ in range(2):
            weight.grad = gradient.to(weight.dtype)
            optimizer.step()
    assert torch.allclose(whole, double.float(), atol=1e-6)


@pytest.mark.parametrize("turned", ["weight", "gradient", "both"])
def test_what_is_not_contiguous_moves_too(turned: str) -> None:
    plain = torch.arange(6.0).reshape(2, 3)
    aslant = plain.t().contiguous().t()
    weight = nn.Parameter((plain if turned == "gradient" else aslant).clone(memory_format=torch.preserve_format))
    reference = nn.Parameter(plain.clone())
    weight.grad = (plain if turned == "weight" else aslant) + 1
    reference.grad = plain + 1
    for parameter in (weight, reference):
        AdamW([parameter], lr=0.1, weight_decay=0.1).step()
    assert not torch.equal(reference, plain)
    assert torch.equal(weight, reference)


def test_it_goes_on_from_its_saved_state() -> None:
    def optimizer_of(weight: nn.Parameter) -> AdamW:
        return AdamWSpec(weight_decay=0.1).build([(0.1, [weight])])

    def step(weight: nn.Parameter, optimizer: AdamW, number: int) -> None:
        weight.grad = torch.full((2, 2), 0.5 + number)
        optimizer.step()

    through = nn.Parameter(torch.ones(2, 2))
    optimizer = optimizer_of(through)
    for number in range(2):
        step(through, optimizer, number)
    again = nn.Parameter(through.detach().clone())
    resumed = optimizer_of(again)
    resumed.load_state_dict(deepcopy(optimizer.state_dict()))
    step(through, optimizer, 2)
    step(again, resumed, 2)
    assert torch.equal(through, again)


@pytest.mark.parametrize("wrong", [{"lr": 0.0}, {"betas": (0.9, 1.0)}, {"eps": -1.0}, {"weight_decay": -0.1}])
def test_what_is_out_of_range_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="out of range"):
        AdamW([nn.Parameter(torch.ones(1))], **wrong)  # type: ignore[arg-type]
