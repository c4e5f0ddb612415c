"""Merges and weightings on numbers worked out by hand, or taken from torchjd 0.18.

g1 = (2, 0), g2 = (-1, 1): |g1|^2 = 4, |g2|^2 = 2, g1.g2 = -2.
"""

import math

import pytest
import torch

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
from minbert.gradients.weightings import DWA, FAMO, GradNorm, Uncertainty, Weighting

ROWS = torch.tensor([[2.0, 0.0], [-1.0, 1.0]])

TABLE: list[tuple[Merge, list[float]]] = [
    (Mean(), [0.5, 0.5]),
    # As PCGrad at first: g1 + 2/2 g2, g2 + 2/4 g1.
    (GradVac(), [1.5, 2.0]),
    # |a g1 + (1 - a) g2|^2 = 4 a^2 + 2 (1 - a)^2 - 4 a (1 - a) is least at a = .4.
    (MGDA(), [0.4, 0.6]),
    # u1 = (1, 0), u2 = (-1, 1) / sqrt 2; d.u1 = d.u2: G w = n, w = (2 + sqrt 2, 2 + 2 sqrt 2) / 2, over its sum.
    (IMTLG(), [(2 + 2**0.5) / (4 + 3 * 2**0.5), (2 + 2 * 2**0.5) / (4 + 3 * 2**0.5)]),
    # The nearest to g1 without conflict with g2 is (1, 1) = g1 + g2, to g2 it is (0, 1) = g2 + g1/2; their mean.
    (UPGrad(), [0.75, 1.0]),
    # 4 a - 2 b = 1/a, -2 a + 2 b = 1/b, over 3: with t = b/a, 4 - 2 t = t (2 t - 2), so t = sqrt 2.
    (NashMTL(), [(3 / (4 - 2 * 2**0.5)) ** 0.5, (6 / (4 - 2 * 2**0.5)) ** 0.5]),
    # g0 = (1, 1) / 2, w = (0, 1): 1/2 each, and c |g0| / |g2| = 1/4 of g2.
    (CAGrad(c=0.5), [0.5, 0.75]),
    # torchjd, the last on G / 3.
    (AlignedMTL(), [0.414590, 0.552786]),
    (FairGrad(alpha=2.0), [1.960060, 2.848738]),
]


@pytest.mark.parametrize(("merge", "weights"), TABLE, ids=lambda value: getattr(value, "kind", ""))
def test_two_tasks(merge: Merge, weights: list[float]) -> None:
    found, _ = merge(ROWS @ ROWS.T, merge.start(2), torch.Generator(), range(2))
    assert found.tolist() == pytest.approx(weights, rel=1e-3)


@pytest.mark.parametrize("size", [0.5, 1.0, 3.0])
def test_of_opposed_gradients_no_mixture_helps_both_alike(size: float) -> None:
    opposed = torch.tensor([[1.0, -size], [-size, size**2]])
    assert IMTLG()(opposed, {}, torch.Generator(), range(2))[0].tolist() == [0, 0]
    # As long as they are not quite opposed there is one.
    nearly = torch.tensor([[1.0, -0.9999], [-0.9999, 1.0]])
    assert IMTLG()(nearly, {}, torch.Generator(), range(2))[0].tolist() == pytest.approx([0.5, 0.5], abs=1e-3)


def test_gradvac_remembers_how_two_tasks_stand() -> None:
    merge, gram = GradVac(beta=0.5), torch.tensor([[1.0, 0.5], [0.5, 1.0]])
    weights, state = merge(gram, merge.start(3), torch.Generator(), [0, 2])
    assert weights.tolist() == [1, 1] and state["cosines"].nonzero().tolist() == [[0, 2], [2, 0]]
    assert float(state["cosines"][0, 2]) == 0.25
    # Now orthogonal: each is turned towards the other until the cosine is 1/4, by tan = 1 / sqrt 15.
    weights, later = merge(torch.eye(2), state, torch.Generator(), [0, 2])
    assert weights.tolist() == pytest.approx([1 + 15**-0.5] * 2)
    assert float(later["cosines"][2, 0]) == 0.125 and float(state["cosines"][2, 0]) == 0.25


def step(
    losses: list[float], later: list[float] | None = None, norms: list[float] | None = None, ends: int = 0
) -> Seen:
    made = [None if x is None else torch.tensor(x, dtype=torch.float64) for x in (losses, norms, later)]
    assert made[0] is not None
    return Seen(range(len(losses)), made[0], made[1], made[2], bool(ends))


def after(weighting: Weighting, *steps: Seen) -> list[float]:
    state = weighting.start([False, True])
    for one in steps:
        state = weighting.after_step(state, one)
    weights: list[float] = weighting.weights(state, range(2), steps[-1].losses).tolist()
    return weights


def test_uncertainty() -> None:
    # s1 -= .1 (1/2 - 2), s2 -= .1 (1/2 - .5 * .2): s = (.15, -.04).
    assert after(Uncertainty(lr=0.1), step([2.0, 0.2])) == pytest.approx([math.exp(-0.15), 0.5 * math.exp(0.04)])


def test_dwa() -> None:
    # Means 2, 1 in the first epoch, 1 and 1 in the second: rates 1/2 and 1.
    epochs = [step([3.0, 1.0]), step([1.0, 1.0], ends=1), step([1.0, 1.0], ends=1)]
    assert after(DWA(), *epochs[:2]) == [1, 1]
    expected = [2 * math.exp(r / 2) / (math.exp(0.25) + math.exp(0.5)) for r in (0.5, 1.0)]
    assert after(DWA(), *epochs) == pytest.approx(expected)


def test_famo() -> None:
    # The first loss fell to the half, so its w falls by lr and the other's rises: Adam's first step is lr long.
    found = after(FAMO(lr=0.1, weight_decay=0), step([2.0, 1.0], [1.0, 1.0]))
    parts = [math.exp(-0.1) / 2, math.exp(0.1)]
    assert found == pytest.approx([part / sum(parts) for part in parts], rel=1e-6)


def test_gradnorm() -> None:
    first = step([2.0, 4.0], norms=[1.0, 1.0])
    # Both lag alike and pull alike: nothing to do.
    assert after(GradNorm(), first) == [1, 1]
    # Half of the first loss is left and all of the second: r = (2/3, 4/3), N = 1, so w1 falls by lr, w2 rises.
    assert after(GradNorm(lr=0.1), first, step([1.0, 4.0], norms=[1.0, 1.0])) == pytest.approx([0.9, 1.1])
    # Norms 3 and 1, N = 2, r = 1: -.1 * 3/2 and + .1 * 1/2, then back to the sum of 2.
    assert after(GradNorm(lr=0.1), step([2.0, 4.0], norms=[3.0, 1.0])) == pytest.approx([1.7 / 1.9, 2.1 / 1.9])
