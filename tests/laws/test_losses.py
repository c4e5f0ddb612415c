"""What every loss must do."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from minbert.losses import AnyLoss, Loss, MultipleNegativesRanking, Targets
from minbert.outputs import Outputs

LOSSES = [member() for member in AnyLoss.__metadata__[0].members.values()]  # type: ignore[attr-defined]


def case(loss: Loss, rows: int = 8) -> tuple[Tensor, tuple[Tensor, Tensor], Targets]:
    generator = torch.Generator().manual_seed(0)
    width = 3 if "classes" in loss.kinds else 1
    scores = torch.randn(rows, width, generator=generator, requires_grad=True)
    left, right = (torch.randn(rows, 4, generator=generator, requires_grad=True) for _ in range(2))
    high = 5.0 if loss.kinds == {"rating"} else 1.0
    labels = torch.arange(rows) % (3 if width == 3 else 2)
    hashes = torch.arange(2 * rows).reshape(rows, 2)
    labels = labels * (high if high > 1 else 1)
    teacher = torch.randn(rows, width, generator=generator)
    vectors = tuple(torch.randn(rows, 6, generator=generator) for _ in range(2))
    return scores, (left, right), Targets(labels, 0.0, high, hashes, teacher, vectors, 0.5)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.kind)
def test_one_finite_number_with_a_gradient_whatever_the_order_of_rows(loss: Loss) -> None:
    scores, vectors, targets = case(loss)
    loss = loss.learned(targets)
    found = loss(Outputs(scores, vectors), targets)
    assert found.shape == () and torch.isfinite(found)
    found.backward()
    read = vectors[0] if loss.reads == "vectors" else scores
    assert read.grad is not None and float(read.grad.abs().sum()) > 0
    back = torch.arange(len(scores)).flip(0)
    assert targets.teacher is not None
    vectors_back = tuple(part[back] for part in targets.teacher_vectors)
    turned = replace(
        targets,
        labels=targets.labels[back],
        hashes=targets.hashes[back],
        teacher=targets.teacher[back],
        teacher_vectors=vectors_back,
    )
    again = loss(Outputs(scores[back], (vectors[0][back], vectors[1][back])), turned)
    assert torch.allclose(found, again, atol=1e-6)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.kind)
def test_a_step_down_the_gradient_makes_it_smaller(loss: Loss) -> None:
    scores, vectors, targets = case(loss)
    loss = loss.learned(targets)
    found = loss(Outputs(scores, vectors), targets)
    found.backward()
    with torch.no_grad():
        moved = [x if x.grad is None else x - 0.05 * x.grad for x in (scores, *vectors)]
        assert float(loss(Outputs(moved[0], (moved[1], moved[2])), targets)) < float(found)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.kind)
def test_what_it_learns_from_train_is_no_key_and_is_learned_anew_each_time(loss: Loss) -> None:
    targets = case(loss)[-1]
    learned = loss.learned(targets)
    assert learned.model_dump() == loss.model_dump() and learned == learned.learned(targets) == loss.learned(targets)


def ranking(hashes: Tensor, **settings: bool) -> float:
    generator = torch.Generator().manual_seed(2)
    vectors = (torch.randn(3, 4, generator=generator), torch.randn(3, 4, generator=generator))
    targets = Targets(torch.ones(3, dtype=torch.long), 0.0, 1.0, hashes)
    return float(MultipleNegativesRanking(**settings)(Outputs(torch.zeros(3, 1), vectors), targets))


def test_ranking_masks_texts_that_are_the_same() -> None:
    plain = torch.tensor([[0, 1], [2, 3], [4, 5]])
    for place, same in (((1, 1), 1), ((1, 0), 0), ((1, 1), 0)):
        hashes = plain.clone()
        hashes[place] = same
        assert ranking(hashes) < ranking(plain), "a masked text is no negative, so the loss falls"


def test_symmetric_is_the_mean_of_both_directions() -> None:
    generator = torch.Generator().manual_seed(3)
    left, right = (torch.randn(5, 4, generator=generator) for _ in range(2))
    targets = Targets(torch.ones(5, dtype=torch.long), 0.0, 1.0, torch.arange(10).reshape(5, 2))
    one, scores = MultipleNegativesRanking(), torch.zeros(5, 1)
    there, back = one(Outputs(scores, (left, right)), targets), one(Outputs(scores, (right, left)), targets)
    both = MultipleNegativesRanking(symmetric=True)(Outputs(scores, (left, right)), targets)
    assert torch.allclose(both, (there + back) / 2, atol=1e-6)


def test_without_positive_pairs_ranking_is_0_and_moves_nothing() -> None:
    vectors = tuple(torch.randn(3, 4, requires_grad=True) for _ in range(2))
    targets = Targets(torch.zeros(3, dtype=torch.long), 0.0, 1.0, torch.arange(6).reshape(3, 2))
    found = MultipleNegativesRanking()(Outputs(torch.zeros(3, 1), vectors), targets)
    found.backward()
    assert float(found.detach()) == 0 and all(v.grad is None or not v.grad.any() for v in vectors)
