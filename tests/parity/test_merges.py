"""Merges and weightings against torchjd's, or against what makes an answer the only right one."""

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor
from torchjd.aggregation import (
    AlignedMTLWeighting,
    FairGradWeighting,
    GradVacWeighting,
    IMTLGWeighting,
    MeanWeighting,
    MGDAWeighting,
)
from torchjd.scalarization import DWA as TheirDWA
from torchjd.scalarization import FAMO as TheirFAMO
from torchjd.scalarization import UW

from minbert.gradients import (
    IMTLG,
    MGDA,
    AlignedMTL,
    CAGrad,
    FairGrad,
    GradVac,
    Mean,
    Merge,
    NashMTL,
    Seen,
    UPGrad,
)
from minbert.gradients.solving import RIDGE
from minbert.gradients.weightings import DWA, FAMO, GradNorm, Uncertainty, Weighting


def rows(tasks: int, seed: int, width: int = 8) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(tasks, width, generator=rng, dtype=torch.float64) * (0.5 + torch.rand(tasks, 1, generator=rng))


def weights(merge: Merge, given: Tensor) -> Tensor:
    gram = (given @ given.T).float()
    return merge(gram, merge.start(len(gram)), torch.Generator(), range(len(gram)))[0].double()


EACH = [(2, 0), (2, 1), (3, 2), (3, 3), (4, 4), (6, 6)]

THEIRS: list[tuple[Merge, Callable[[], Callable[[Tensor], Tensor]], float]] = [
    (Mean(), MeanWeighting, 1e-6),
    (IMTLG(), IMTLGWeighting, 1e-4),
    (AlignedMTL(), AlignedMTLWeighting, 1e-4),
    (AlignedMTL(scale="rmse"), lambda: AlignedMTLWeighting(scale_mode="rmse"), 1e-4),
    (MGDA(), lambda: MGDAWeighting(epsilon=1e-6, max_iters=3000), 2e-2),
    (FairGrad(), lambda: FairGradWeighting(alpha=2.0), 5e-3),
    (FairGrad(alpha=0.5), lambda: FairGradWeighting(alpha=0.5), 5e-3),
    (NashMTL(), lambda: FairGradWeighting(alpha=1.0), 5e-3),
]


@pytest.mark.parametrize(("merge", "theirs", "within"), THEIRS, ids=lambda value: getattr(value, "kind", ""))
def test_the_update_is_theirs(merge: Merge, theirs: Callable[[], Callable[[Tensor], Tensor]], within: float) -> None:
    their = theirs()
    for tasks, seed in EACH:
        given = rows(tasks, seed)
        given /= (given @ given.T).diagonal().mean().sqrt()
        expected = their(given @ given.T) @ given
        assert torch.dist(weights(merge, given) @ given, expected) <= within * expected.norm(), (tasks, seed)


@pytest.mark.parametrize(("tasks", "seed"), EACH)
def test_mgda_is_the_shortest(tasks: int, seed: int) -> None:
    given = rows(tasks, seed, width=4)
    shares = weights(MGDA(), given)
    shortest = shares @ given
    assert shares.min() >= 0 and float(shares.sum()) == pytest.approx(1)
    # No corner lies on the near side of the plane through the point.
    assert (given @ shortest).min() >= shortest @ shortest - 1e-4


@pytest.mark.parametrize(("tasks", "seed"), EACH[:5])
def test_upgrad_projects_each_gradient_on_what_harms_no_task(tasks: int, seed: int) -> None:
    given = rows(tasks, seed)
    update = weights(UPGrad(), given) @ given
    assert (given @ update).min() > -1e-4
    # Dykstra's projections onto the half-spaces, one after the other.
    projected = given.clone()
    for mine in projected:
        taken = torch.zeros_like(given)
        for _ in range(300):
            for j, other in enumerate(given):
                before = mine + taken[j]
                after = before - min(float(before @ other), 0.0) / (other @ other) * other
                mine[:], taken[j] = after, before - after
    assert torch.dist(projected.mean(0), update) < 1e-3


@pytest.mark.parametrize(("tasks", "seed"), EACH)
@pytest.mark.parametrize("c", [0.4, 1.5])
def test_no_other_direction_in_the_ball_serves_the_worst_off_task_better(tasks: int, seed: int, c: float) -> None:
    given, mean = rows(tasks, seed), rows(tasks, seed).mean(0)
    update, radius = weights(CAGrad(c=c), given) @ given, c * mean.norm()
    assert float(torch.dist(update, mean)) == pytest.approx(float(radius), rel=1e-4)
    worst, rng = (given @ update).min(), torch.Generator().manual_seed(seed)
    for size in (0.01, 0.1, 1.0):
        others = update - mean + size * radius * torch.randn(500, 8, generator=rng, dtype=torch.float64)
        others *= radius / others.norm(dim=1, keepdim=True)
        assert ((mean + others) @ given.T).min(1).values.max() <= worst + 1e-4


@pytest.mark.parametrize(("tasks", "seed"), EACH)
def test_nash_and_fairgrad_solve_their_equation(tasks: int, seed: int) -> None:
    given = rows(tasks, seed)
    given /= (given @ given.T).diagonal().mean().sqrt()
    for merge, alpha in ((NashMTL(), 1.0), (FairGrad(alpha=0.5), 0.5), (FairGrad(alpha=10), 10.0)):
        found = weights(merge, given)
        assert torch.allclose((given @ given.T + RIDGE * torch.eye(tasks)) @ found, found ** (-1 / alpha), rtol=1e-4)


def test_gradvac_is_theirs_over_many_steps_with_the_same_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = torch.Generator().manual_seed(0)
    orders = [torch.randperm(4, generator=rng) for _ in range(4 * 30)]

    def without_own(drawn: Iterator[Tensor]) -> Callable[[int], Tensor]:
        # They draw an order of the others, without the task itself.
        turn = iter(list(range(4)) * 30)

        def draw(count: int) -> Tensor:
            task, order = next(turn), next(drawn)
            return torch.tensor([j - (j > task) for j in order.tolist() if j != task])

        return draw

    theirs, ours, state = GradVacWeighting(beta=0.1), GradVac(beta=0.1), GradVac().start(4)
    givens = [rows(4, seed) for seed in range(30)]
    with monkeypatch.context() as patch:
        patch.setattr(torch, "randperm", without_own(iter(orders)))
        expected = [theirs(given @ given.T) for given in givens]
    drawn = iter(orders)
    monkeypatch.setattr(torch, "randperm", lambda count, generator: next(drawn))
    for given, right in zip(givens, expected, strict=True):
        found, state = ours(given @ given.T, state, rng, range(4))
        assert torch.allclose(found.double(), right, atol=1e-5)
    assert state["cosines"].abs().max() > 0.1


def falling(steps: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The losses of three tasks before and after each step."""
    rng = torch.Generator().manual_seed(1)
    losses = torch.tensor([2.0, 0.7, 0.05], dtype=torch.float64)
    for _ in range(steps):
        later = losses * (0.7 + 0.4 * torch.rand(3, generator=rng, dtype=torch.float64))
        yield losses, later
        losses = later


def test_famo_is_theirs() -> None:
    ours, theirs = FAMO(), TheirFAMO(3).double()
    state = ours.start([False] * 3)
    for losses, later in falling(40):
        leaf = losses.clone().requires_grad_()
        (expected,) = torch.autograd.grad(theirs(leaf), leaf)
        theirs.update(later)
        assert torch.allclose(ours.weights(state, range(3), losses), expected, rtol=1e-6)
        state = ours.after_step(state, Seen(range(3), losses, None, later, False))
    assert state["w"].abs().max() > 0.1


def test_uncertainty_is_theirs_for_squared_errors() -> None:
    ours, theirs = Uncertainty(lr=0.05), UW(3).double()
    state, sgd = ours.start([True] * 3), torch.optim.SGD(theirs.parameters(), lr=0.05)
    for losses, _ in falling(40):
        leaf = losses.clone().requires_grad_()
        theirs(leaf).backward()
        assert leaf.grad is not None
        assert torch.allclose(ours.weights(state, range(3), None), leaf.grad)
        sgd.step()
        sgd.zero_grad()
        state = ours.after_step(state, Seen(range(3), losses, None, None, False))


def test_dwa_is_theirs() -> None:
    ours, theirs = DWA(), TheirDWA()
    state = ours.start([False] * 3)
    for number, (losses, _) in enumerate(falling(40)):
        leaf = losses.clone().requires_grad_()
        (expected,) = torch.autograd.grad(theirs(leaf), leaf)
        assert torch.allclose(ours.weights(state, range(3), None), expected)
        ends = number % 4 == 3
        if ends:
            theirs.step()
        state = ours.after_step(state, Seen(range(3), losses, None, None, ends))


def test_gradnorm_follows_the_gradient_of_its_loss() -> None:
    ours = GradNorm(lr=0.01)
    state = ours.start([False] * 3)
    for number, (losses, _) in enumerate(falling(30)):
        norms = rows(3, number).norm(dim=1)
        first = losses if not number else state["first"]
        leaf = ours.weights(state, range(3), None).clone().requires_grad_()
        lag = losses / first / (losses / first).mean()
        mean = (leaf * norms).mean().detach()
        (gradient,) = torch.autograd.grad((leaf * norms - mean * lag**1.5).abs().sum(), leaf)
        moved = leaf.detach() - 0.01 * gradient / mean
        state = ours.after_step(state, Seen(range(3), losses, norms, None, False))
        assert torch.allclose(state["weights"], 3 * moved / moved.sum())


LEARNING: list[Weighting] = [Uncertainty(), DWA(), FAMO(), GradNorm()]


@pytest.mark.parametrize("weighting", LEARNING, ids=lambda weighting: weighting.kind)
def test_a_task_that_a_step_lacks_keeps_what_is_known_of_it(weighting: Weighting) -> None:
    state = weighting.start([False, True, False])
    for losses, later in falling(3):
        state = weighting.after_step(state, Seen(range(3), losses, torch.ones(3).double(), later, False))
    pair = torch.tensor([0.5, 0.2], dtype=torch.float64)
    after = weighting.after_step(state, Seen([2, 0], pair, pair, 0.5 * pair, False))
    for key, tensor in after.items():
        assert torch.equal(tensor[1], state[key][1]) or tensor[1].isnan(), key
    assert any(not torch.equal(after[key], state[key]) for key in after)
