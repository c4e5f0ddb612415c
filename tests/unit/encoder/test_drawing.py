"""First weights are left out only where a file has them."""

import torch

from minbert.encoder.drawing import Table, undrawn
from minbert.encoder.linear import Linear


def test_modules_draw_their_first_weights_as_torch_does() -> None:
    torch.manual_seed(0)
    mine = [Linear(3, 4), Table(5, 6)]
    torch.manual_seed(0)
    torchs = [torch.nn.Linear(3, 4), torch.nn.Embedding(5, 6)]
    for module, wanted in zip(mine, torchs, strict=True):
        assert torch.equal(module.weight, wanted.weight)  # type: ignore[arg-type]


def test_within_nothing_is_drawn_and_afterwards_again() -> None:
    before = torch.get_rng_state()
    with undrawn():
        assert Linear(3, 4).weight.shape == (4, 3) and Table(5, 6).weight.shape == (5, 6)
    assert torch.equal(torch.get_rng_state(), before)
    Linear(3, 4)
    assert not torch.equal(torch.get_rng_state(), before)
