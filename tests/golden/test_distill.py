"""Distillation: numbers worked out by hand, and against torch's own cross-entropy with soft targets."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from minbert.losses import ConstantShare, Distill, SimilarityPreserving, Targets, TeacherAnnealing
from minbert.outputs import Outputs

TEACHER = ConstantShare(share=0.0)


def targets(labels: torch.Tensor, teacher: torch.Tensor, low: float = 0.0, high: float = 1.0) -> Targets:
    return Targets(labels, low, high, torch.zeros(len(labels), 1), teacher)


@pytest.mark.parametrize(("temperature", "wanted"), [(1.0, 0.5 * math.log(4 / 3)), (2.0, None)])
def test_classes_by_hand(temperature: float, wanted: float | None) -> None:
    # The teacher says 1/2, 1/2; the student 3/4, 1/4: KL = 1/2 log(1/2 / 3/4) + 1/2 log(1/2 / 1/4) = 1/2 log 4/3.
    scores = torch.tensor([[math.log(3.0), 0.0]])
    given = targets(torch.tensor([0]), torch.zeros(1, 2))
    if wanted is None:
        # At T = 2 the odds are sqrt 3 to 1, and the loss is 4 times the divergence.
        p = math.sqrt(3) / (1 + math.sqrt(3))
        wanted = 4 * (0.5 * math.log(0.5 / p) + 0.5 * math.log(0.5 / (1 - p)))
    found = Distill(temperature=temperature, gold=TEACHER)(Outputs(scores), given)
    assert float(found) == pytest.approx(wanted, abs=1e-6)


def test_yes_no_is_the_divergence_of_two_coins() -> None:
    given = targets(torch.tensor([1]), torch.zeros(1, 1))
    found = Distill(gold=TEACHER)(Outputs(torch.tensor([[math.log(3.0)]])), given)
    assert float(found) == pytest.approx(0.5 * math.log(4 / 3), abs=1e-6)


def test_a_rating_is_a_squared_error_to_both() -> None:
    # Label 2.5 of 0-5 is .5; score .9, teacher .7: a quarter of .16 and three quarters of .04.
    given = targets(torch.tensor([2.5]), torch.tensor([[0.7]]), 0.0, 5.0)
    found = Distill(gold=ConstantShare(share=0.25))(Outputs(torch.tensor([[0.9]])), given)
    assert float(found) == pytest.approx(0.25 * 0.16 + 0.75 * 0.04, abs=1e-6)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_at_temperature_1_the_gradient_is_that_of_the_mixed_target(share: float) -> None:
    generator = torch.Generator().manual_seed(0)
    scores, teacher = torch.randn(6, 4, generator=generator), torch.randn(6, 4, generator=generator)
    labels = torch.arange(6) % 4
    ours, theirs = scores.clone().requires_grad_(), scores.clone().requires_grad_()
    Distill()(Outputs(ours), replace(targets(labels, teacher), progress=share)).backward()
    mixed = share * F.one_hot(labels, 4) + (1 - share) * teacher.softmax(1)
    F.cross_entropy(theirs, mixed).backward()
    assert torch.allclose(ours.grad, theirs.grad, atol=1e-7)


def test_the_share_of_the_gold_label() -> None:
    assert [TeacherAnnealing()(progress) for progress in (0.0, 0.25, 1.0)] == [0.0, 0.25, 1.0]
    assert ConstantShare(share=0.2)(0.9) == 0.2


def test_cosines_by_hand_and_a_teacher_of_another_width() -> None:
    # One pair: a and b at a cosine of .6 here, of 0 to the teacher.
    left, right = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.2, 1.6]])
    teacher = (torch.tensor([[2.0, 0.0, 0.0]]), torch.tensor([[0.0, 0.0, 5.0]]))
    given = Targets(torch.ones(1), 0.0, 1.0, torch.zeros(1, 2), teacher_vectors=teacher)
    found = SimilarityPreserving()(Outputs(torch.zeros(1, 1), (left, right)), given)
    assert float(found) == pytest.approx(0.36, abs=1e-6)
    # Two pairs, all texts at a cosine of 1 here; the teacher holds one of the four at a right angle to the rest: three
    # of the six cosines are wrong by 1.
    same, corner = torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    given = replace(given, labels=torch.ones(2), teacher_vectors=(same, corner))
    found = SimilarityPreserving()(Outputs(torch.zeros(2, 1), (same, same)), given)
    assert float(found) == pytest.approx(0.5, abs=1e-6)
