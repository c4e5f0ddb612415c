"""The average of the weights against torch's."""

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from minbert.optimizer import Ema


@pytest.mark.parametrize("decay", [0.5, 0.99])
def test_once_the_decay_has_risen_the_averages_are_the_same(decay: float) -> None:
    model = nn.Linear(4, 3)
    weights, ema = list(model.parameters()), Ema(decay=decay)
    theirs = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))
    theirs.update_parameters(model)
    state = ema.start(weights) | {"steps": 10_000}
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        with torch.no_grad():
            for weight in weights:
                weight.add_(torch.randn(weight.shape, generator=generator))
        theirs.update_parameters(model)
        state = ema(weights, state)
    for place, expected in enumerate(theirs.module.parameters()):
        assert torch.allclose(state[str(place)], expected, atol=1e-6)
