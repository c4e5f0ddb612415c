"""What every regularizer must do, on a small model of tokens, weights and masks."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from minbert.optimizer import AdamW, AnyAverage, Average, exchanged
from minbert.outputs import Outputs
from minbert.regularizers import Again, AnyRegularizer, Regularizer, SimCSE, Smart, SmartReleased

MEMBERS = [member() for member in AnyRegularizer.__metadata__[0].members.values()]  # type: ignore[attr-defined]
AVERAGES = [member() for member in AnyAverage.__metadata__[0].members.values()]  # type: ignore[attr-defined]
KINDS = ["classes", "yes_no", "rating"]
ROWS, WIDTH = 4, 5
regularizers = pytest.mark.parametrize("regularizer", MEMBERS, ids=lambda regularizer: regularizer.kind)


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class Small(Again):
    """One token a row: `tanh(mask * (x + shift)) W`; without dropout all masks are ones."""

    def __init__(self, kind: str, dropout: bool = True, seed: int = 0) -> None:
        self.kind, self.precision, self.dropout, self.seed = kind, torch.float32, dropout, seed
        self.tokens = numbers(ROWS, WIDTH, seed=seed)
        self.hashes = torch.arange(ROWS)
        self.weights = [numbers(WIDTH, 3 if kind == "classes" else 1, seed=seed + 1).requires_grad_()]

    def __call__(
        self,
        *,
        mask: int = 0,
        shift: Tensor | None = None,
        weights: Sequence[Tensor] | None = None,
        precision: torch.dtype | None = None,
    ) -> Outputs:
        (used,) = self.weights if weights is None else weights
        moved = self.tokens if shift is None else self.tokens + shift
        return Outputs(torch.tanh(moved * self._mask(mask)) @ used)

    def _mask(self, mask: int) -> Tensor:
        return (numbers(ROWS, WIDTH, seed=50 + mask) > -1).float() if self.dropout else torch.ones(ROWS, WIDTH)

    def texts(self, mask: int = 0) -> Tensor:
        return self.tokens * self._mask(mask) * self.weights[0].sum()

    def noise(self) -> Tensor:
        return numbers(ROWS, WIDTH, seed=self.seed + 2)

    def gradient(self, value: Tensor, shift: Tensor) -> Tensor:
        return torch.autograd.grad(value, shift)[0]


@regularizers
@pytest.mark.parametrize("kind", KINDS)
def test_one_finite_number_from_0_up_with_a_gradient(regularizer: Regularizer, kind: str) -> None:
    again = Small(kind)
    past = regularizer.start([0.5 * weight for weight in again.weights])
    found = regularizer(again(), again, past)
    assert found.value.shape == () and torch.isfinite(found.value) and float(found.value.detach()) >= 0
    (slope,) = torch.autograd.grad(found.value, again.weights)
    assert torch.isfinite(slope).all() and slope.any()


class Counting(Small):
    """Counts the passes that are asked for."""

    def __init__(self, precision: torch.dtype) -> None:
        super().__init__("classes")
        self.precision, self.passes = precision, 0

    def __call__(self, **asked: Any) -> Outputs:
        self.passes += 1
        return super().__call__(**asked)

    def texts(self, mask: int = 0) -> Tensor:
        self.passes += mask  # With the first mask the texts are those of the first pass.
        return super().texts(mask)


@regularizers
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_it_makes_as_many_passes_as_it_says(regularizer: Regularizer, precision: torch.dtype) -> None:
    first = Small("classes")
    again = Counting(precision)
    regularizer(first(), again, regularizer.start(first.weights))
    assert again.passes == regularizer.passes(exact=precision == torch.float32)


@pytest.mark.parametrize(
    "regularizer", [r for r in MEMBERS if not isinstance(r, SimCSE | SmartReleased)], ids=lambda r: r.kind
)
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_0_where_the_passes_agree(regularizer: Regularizer, kind: str) -> None:
    again = Small(kind, dropout=False)
    # The ball of SMART has shrunk to nothing; the past of Bregman is the present.
    same = regularizer.model_copy(update={"epsilon": 1e-30} if isinstance(regularizer, Smart) else {})
    found = same(again(), again, same.start(again.weights))
    assert float(found.value.detach()) == pytest.approx(0.0, abs=1e-12)


@regularizers
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_same_where_no_gradients_are_kept(regularizer: Regularizer, kind: str) -> None:
    again = Small(kind)
    past = regularizer.start([0.5 * weight for weight in again.weights])
    found = regularizer(again(), again, past).value
    with torch.no_grad():
        alone = regularizer(again(), again, past).value
    assert torch.allclose(alone, found) and not alone.requires_grad


@regularizers
def test_memory_is_tensors_and_plain_values_and_moves_only_with_the_steps(regularizer: Regularizer) -> None:
    again = Small("classes")
    state = regularizer.start(again.weights)
    kept = {key: value.clone() for key, value in state.items()}
    regularizer(again(), again, state)
    assert all(torch.equal(state[key], value) and not value.requires_grad for key, value in kept.items())
    with torch.no_grad():
        again.weights[0].mul_(2)
    after = regularizer.after_step(again.weights, state, 1.0)
    assert after.keys() == kept.keys() and not any(torch.equal(after[key], kept[key]) for key in kept)


@given(
    epsilon=st.floats(1e-6, 10), noise=st.floats(1e-6, 10), rate=st.floats(1e-6, 10), seed=st.integers(0, 99),
    steps=st.integers(1, 3), kind=st.sampled_from(KINDS),
)  # fmt: skip
def test_the_shift_of_smart_stays_in_the_ball(
    epsilon: float, noise: float, rate: float, seed: int, steps: int, kind: str
) -> None:
    again = Small(kind, seed=seed)
    smart = Smart(epsilon=epsilon, noise=noise, rate=rate, steps=steps)
    shift = smart.shift(again().scores.detach(), again)
    assert shift.shape == (ROWS, WIDTH) and float(shift.abs().max()) <= epsilon * (1 + 1e-6)


@given(seed=st.integers(0, 99), kind=st.sampled_from(KINDS))
def test_smart_finds_a_worse_place_than_its_start(seed: int, kind: str) -> None:
    again = Small(kind, seed=seed)
    smart = Smart(epsilon=0.1, noise=0.3, rate=10)
    climbed = float(smart(again(), again, {}).value.detach())
    start = smart.model_copy(update={"rate": 1e-12})
    assert climbed >= float(start(again(), again, {}).value.detach())


def test_the_shift_of_the_released_code_leaves_the_ball() -> None:
    again = Small("classes")
    shift = SmartReleased().shift(again().scores.detach(), again)
    assert float(shift.abs().amax(-1).min()) > 0.5 and float(shift.abs().max()) <= 1


@pytest.mark.parametrize("average", AVERAGES, ids=lambda average: average.kind)
def test_an_average_lies_between_and_weights_come_back(average: Average) -> None:
    weights = [torch.zeros(3), torch.zeros(2)]
    state = average.start(weights)
    for _ in range(5):
        weights[0].add_(1)
        state = average(weights, state)
    assert 0 < float(state["0"][0]) < 5 and not state["1"].any()
    kept = state["0"].clone()
    with exchanged(weights, state):
        assert torch.equal(weights[0], kept) and torch.equal(state["0"], torch.full((3,), 5.0))
    assert torch.equal(state["0"], kept) and torch.equal(weights[0], torch.full((3,), 5.0))


@pytest.mark.parametrize("sparse", [False, True])
def test_decay_towards_a_start_is_decay_towards_0_of_the_way_gone(sparse: bool) -> None:
    start, way = numbers(6, 3).double(), numbers(6, 3, seed=1).double()
    moved, apart = nn.Parameter(start + way), nn.Parameter(way.clone())
    optimizers = [AdamW([moved], weight_decay=0.1, starts={moved: start}), AdamW([apart], weight_decay=0.1)]
    for step in range(4):
        slope = numbers(6, 3, seed=9 + step).double()
        slope[1::2] = 0
        for parameter, optimizer in zip((moved, apart), optimizers, strict=True):
            parameter.grad = slope.to_sparse(1) if sparse else slope.clone()
            optimizer.step()
    assert torch.allclose(moved - start, apart, atol=1e-12)
