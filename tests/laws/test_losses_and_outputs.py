"""How every loss answers to better, unusable, coarse and degenerate outputs."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from minbert.losses import AnyLoss, Loss, Targets
from minbert.outputs import Outputs

LOSSES = [member() for member in AnyLoss.__metadata__[0].members.values()]  # type: ignore[attr-defined]
LOW, HIGH, CLASSES, ROWS, WIDTH = 1.0, 5.0, 3, 12, 512


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def targets_of(kind: str) -> Targets:
    """Labels, and a teacher that is right."""
    plain, left, alike = labels_of(kind), noise(ROWS, WIDTH, seed=1), similarity(kind)
    vectors = (left, alike * left + (1 - alike) * noise(ROWS, WIDTH, seed=2))
    return replace(plain, teacher=ideal_scores(kind), teacher_vectors=vectors, progress=0.5)


def similarity(kind: str) -> Tensor:
    return labels_of(kind).scaled[:, None] if kind != "classes" else torch.zeros(ROWS, 1)


def ideal_scores(kind: str) -> Tensor:
    targets = labels_of(kind)
    if kind == "classes":
        return 5 * torch.eye(CLASSES)[targets.labels]
    return targets.scaled[:, None] if kind == "rating" else 10 * (targets.scaled[:, None] - 0.5)


def labels_of(kind: str) -> Targets:
    hashes = torch.arange(2 * ROWS).reshape(ROWS, 2)
    if kind == "classes":
        return Targets(torch.arange(ROWS) % CLASSES, 0.0, 1.0, hashes)
    if kind == "yes_no":
        return Targets(torch.arange(ROWS) % 2, 0.0, 1.0, hashes)
    return Targets(torch.linspace(LOW, HIGH, ROWS), LOW, HIGH, hashes)


CASES = [(loss.learned(targets_of(kind)), kind) for loss in LOSSES for kind in sorted(loss.kinds)]
cases = pytest.mark.parametrize(("loss", "kind"), CASES, ids=[f"{loss.kind}-{kind}" for loss, kind in CASES])


def outputs_of(kind: str, right: float) -> Outputs:
    """Outputs that are noise at 0 and right at 1: the scores say the labels, the cosines say how alike a pair is."""
    ideal, (left, partner) = ideal_scores(kind), targets_of(kind).teacher_vectors
    scores = (1 - right) * noise(*ideal.shape) + right * ideal
    return Outputs(scores, (left, (1 - right) * noise(ROWS, WIDTH, seed=3) + right * partner))


@cases
def test_it_falls_as_outputs_get_better(loss: Loss, kind: str) -> None:
    found = [float(loss(outputs_of(kind, right), targets_of(kind))) for right in (0.0, 0.3, 0.6, 1.0)]
    assert all(worse > better for worse, better in pairwise(found))


@cases
def test_rows_that_are_not_usable_do_not_count(loss: Loss, kind: str) -> None:
    outputs, targets = outputs_of(kind, 0.5), targets_of(kind)
    rows = loss.usable(targets)
    assert rows.shape == (ROWS,) and rows.any()
    left, right = outputs.vectors
    fewer = Outputs(outputs.scores[rows], (left[rows], right[rows]))
    assert targets.teacher is not None
    known = {"labels": targets.labels[rows], "hashes": targets.hashes[rows], "teacher": targets.teacher[rows]}
    vectors = tuple(part[rows] for part in targets.teacher_vectors)
    found = loss(fewer, replace(targets, **known, teacher_vectors=vectors))
    assert float(found) == pytest.approx(float(loss(outputs, targets)), abs=1e-6)


@cases
def test_it_is_computed_in_float32_whatever_the_outputs_are(loss: Loss, kind: str) -> None:
    outputs = outputs_of(kind, 0.5)
    coarse = Outputs(outputs.scores.bfloat16(), tuple(vectors.bfloat16() for vectors in outputs.vectors))
    same = Outputs(coarse.scores.float(), tuple(vectors.float() for vectors in coarse.vectors))
    found = loss(coarse, targets_of(kind))
    assert found.dtype == torch.float32
    assert torch.equal(found, loss(same, targets_of(kind)))


@cases
@pytest.mark.parametrize("size", [0.0, 1e4])
def test_it_stays_finite_with_its_gradient_at_nothing_and_at_much(loss: Loss, kind: str, size: float) -> None:
    outputs = outputs_of(kind, 0.5)
    parts = [(size * part).requires_grad_() for part in (outputs.scores, *outputs.vectors)]
    found = loss(Outputs(parts[0], (parts[1], parts[2])), targets_of(kind))
    found.backward()
    assert torch.isfinite(found)
    assert all(torch.isfinite(part.grad).all() for part in parts if part.grad is not None)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.kind)
def test_a_weight_is_above_0(loss: Loss) -> None:
    with pytest.raises(ValueError, match="weight"):
        type(loss)(weight=0)  # type: ignore[call-arg]
