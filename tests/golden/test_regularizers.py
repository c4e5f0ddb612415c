"""Regularizers, averages and the decay towards the start, on numbers worked out by hand."""

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from minbert.optimizer import AdamW, Ema
from minbert.outputs import Outputs
from minbert.regularizers import Again, Bregman, RDrop, SimCSE, Smart, SmartReleased, divergence

LOG3 = math.log(3.0)


class Slope(Again):
    """A rating that is the sum of one token's two numbers times the weights; other masks add a number to it."""

    kind, precision, hashes = "rating", torch.float32, torch.tensor([0, 1])

    def __init__(self, weights: Sequence[float] = (3.0, -1.0)) -> None:
        self.weights = [torch.tensor(weights, requires_grad=True)]
        self.shifts: list[Tensor] = []

    def __call__(
        self,
        *,
        mask: int = 0,
        shift: Tensor | None = None,
        weights: Sequence[Tensor] | None = None,
        precision: torch.dtype | None = None,
    ) -> Outputs:
        (used,) = self.weights if weights is None else weights
        token = torch.tensor([[1.0, 1.0]])
        if shift is not None:
            self.shifts.append(shift.detach())
            token = token + shift
        return Outputs(token @ used[:, None] + 0.5 * mask)

    def texts(self, mask: int = 0) -> Tensor:
        turned = torch.tensor([[0.6, 0.8], [0.0, 2.0]])
        return turned if mask else torch.tensor([[1.0, 0.0], [0.0, 1.0]])

    def noise(self) -> Tensor:
        return torch.tensor([[1.0, -2.0]])

    def gradient(self, value: Tensor, shift: Tensor) -> Tensor:
        return torch.autograd.grad(value, shift)[0]


def test_divergence_by_kind() -> None:
    # p = (1/4, 3/4) and (1/2, 1/2): (1/4)(log 2) + (1/4)(log 3/2).
    expected = math.log(2) / 4 + math.log(1.5) / 4
    classes = divergence("classes", torch.tensor([[0.0, LOG3]]), torch.zeros(1, 2))
    assert float(classes) == pytest.approx(expected, abs=1e-6)
    # The same as yes and no: p = 3/4 and 1/2, logits log 3 and 0.
    assert float(divergence("yes_no", torch.tensor([[LOG3]]), torch.zeros(1, 1))) == pytest.approx(expected, abs=1e-6)
    assert float(divergence("rating", torch.tensor([[0.7]]), torch.tensor([[0.2]]))) == pytest.approx(0.25, abs=1e-6)


def test_smart_climbs_to_the_corner_of_the_ball() -> None:
    # The start is .01 (1, -2), where the score has moved by .05; the slope there is 2 * .05 * (3, -1), its direction
    # (1, -1/3). .5 of it leads to (.51, -.187), and the ball ends at .1: (.1, -.1), where the score has moved by .4.
    again = Slope()
    found = Smart(epsilon=0.1, noise=0.1, rate=5)(again(), again, {})
    assert torch.allclose(again.shifts[0], torch.tensor([[0.01, -0.02]]))
    assert torch.allclose(again.shifts[1], torch.tensor([[0.1, -0.1]]))
    assert float(found.value.detach()) == pytest.approx(0.16, abs=1e-6) and found.counted == ()


def test_smart_as_released_is_the_start_blown_up() -> None:
    # u = 1e-5 (1, -2) + 1e-3 * 2 * 5e-5 * (3, -1) = 1e-5 (1.03, -2.01), divided by 2.01e-5 + 1e-6.
    again = Slope()
    found = SmartReleased()(again(), again, {})
    shift = torch.tensor([[1.03 / 2.11, -2.01 / 2.11]])
    assert torch.allclose(again.shifts[1], shift, atol=1e-3)
    assert float(found.value.detach()) == pytest.approx(float(3 * shift[0, 0] - shift[0, 1]) ** 2, rel=5e-3)


def test_bregman_compares_with_the_past() -> None:
    again, bregman = Slope((3.0, -1.0)), Bregman()
    state = {"0": torch.tensor([2.0, -1.0])}
    # 3 - 1 against 2 - 1.
    assert float(bregman(again(), again, state).value.detach()) == pytest.approx(1.0)
    early = bregman.after_step(again.weights, {"0": torch.tensor([2.0, -1.0])}, 0.1)
    late = bregman.after_step(again.weights, {"0": torch.tensor([2.0, -1.0])}, 0.11)
    assert float(early["0"][0]) == pytest.approx(2.01) and float(late["0"][0]) == pytest.approx(2.001)


def test_r_drop_compares_two_masks_and_counts_both() -> None:
    again = Slope()
    found = RDrop()(again(), again, {})
    assert float(found.value.detach()) == pytest.approx(0.25)
    assert [float(outputs.scores.detach()) for outputs in found.counted] == [2.5]
    again.kind = "yes_no"
    # Logits 2 and 2.5, half of both directions.
    both = (1 / (1 + math.exp(-2.5)) - 1 / (1 + math.exp(-2.0))) * 0.5
    assert float(RDrop()(again(), again, {}).value.detach()) == pytest.approx(both / 2, abs=1e-6)


def test_simcse_on_two_texts_and_on_one_text_twice() -> None:
    # Cosines .6 and 0 in the first row, .8 and 1 in the second; at scale 2.
    again = Slope()
    first, second = math.log(1 + math.exp(0.0 - 1.2)), math.log(1 + math.exp(1.6 - 2.0))
    found = SimCSE(scale=2.0)(again(), again, {})
    assert float(found.value.detach()) == pytest.approx((first + second) / 2, abs=1e-6)
    again.hashes = torch.tensor([7, 7])
    assert float(SimCSE(scale=2.0)(again(), again, {}).value.detach()) == pytest.approx(0.0, abs=1e-6)


def test_the_average_soon_forgets_the_first_weights() -> None:
    # d = 1/10, then 2/11, then .2 instead of 3/12.
    weight, ema = torch.tensor([0.0]), Ema(decay=0.2)
    state = ema.start([weight])
    for expected in (0.9, 0.9 * 2 / 11 + 9 / 11, None):
        weight.fill_(1.0)
        state = ema([weight], state)
        if expected is not None:
            assert float(state["0"]) == pytest.approx(expected)
    assert state["steps"] == 3
    assert float(state["0"]) == pytest.approx((0.9 * 2 / 11 + 9 / 11) * 0.2 + 0.8)


def test_decay_towards_the_start() -> None:
    # Without a gradient's pull the weight goes from 3 towards 1 by a fortieth of the way: .25 * .1 * (3 - 1).
    weight = nn.Parameter(torch.tensor([3.0]))
    optimizer = AdamW([weight], lr=0.25, weight_decay=0.1, starts={weight: torch.tensor([1.0])})
    weight.grad = torch.zeros(1)
    optimizer.step()
    assert float(weight.detach()) == pytest.approx(2.95)
