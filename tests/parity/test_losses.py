"""Losses on vectors against those of sentence-transformers, the others against torch."""

import pytest
import torch
import torch.nn.functional as F
from sentence_transformers.sentence_transformer.losses import AnglELoss, CoSENTLoss, MultipleNegativesRankingLoss
from torch import Tensor, nn

from minbert.losses import (
    AnglE,
    BinaryCrossEntropy,
    ClassBalanced,
    CoSENT,
    CrossEntropy,
    Focal,
    MultipleNegativesRanking,
    Pearson,
    Targets,
)
from minbert.outputs import Outputs

BOTH = ("query_to_doc", "doc_to_query")
ROWS = 16


def pairs(seed: int, width: int = 24) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    left = torch.randn(ROWS, width, generator=generator)
    return left.requires_grad_(), (left.detach() + torch.randn(ROWS, width, generator=generator)).requires_grad_()


@pytest.mark.parametrize("scale", [1.0, 20.0])
@pytest.mark.parametrize("symmetric", [False, True])
def test_ranking(scale: float, symmetric: bool) -> None:
    theirs = MultipleNegativesRankingLoss(
        nn.Identity(), scale=scale, directions=BOTH if symmetric else BOTH[:1], partition_mode="per_direction"
    )
    mine = MultipleNegativesRanking(scale=scale, symmetric=symmetric)
    targets = Targets(torch.ones(ROWS), 0.0, 1.0, torch.arange(2 * ROWS).reshape(ROWS, 2))
    ours, other = pairs(0), pairs(0)
    found = mine(Outputs(torch.zeros(ROWS, 1), ours), targets)
    expected = theirs.compute_loss_from_embeddings(list(other), torch.zeros(ROWS))
    assert torch.allclose(found, expected, atol=1e-6)
    found.backward()
    expected.backward()
    assert all(torch.allclose(a.grad, b.grad, atol=1e-6) for a, b in zip(ours, other, strict=True))


def test_smoothed_cross_entropy_is_that_of_the_smoothed_labels() -> None:
    scores = torch.randn(ROWS, 5, generator=torch.Generator().manual_seed(1))
    labels = torch.arange(ROWS) % 5
    smoothed = 0.9 * F.one_hot(labels, 5) + 0.1 / 5
    targets = Targets(labels, 0.0, 1.0, torch.zeros(ROWS, 1, dtype=torch.long))
    expected = -(smoothed * scores.log_softmax(1)).sum(1).mean()
    assert torch.allclose(CrossEntropy(smoothing=0.1)(Outputs(scores), targets), expected, atol=1e-6)


@pytest.mark.parametrize(("kind", "theirs"), [(CoSENT, CoSENTLoss), (AnglE, AnglELoss)])
@pytest.mark.parametrize("scale", [1.0, 20.0])
@pytest.mark.parametrize("labels", [torch.arange(ROWS) % 2, 5.0 * torch.arange(ROWS) % 3], ids=["yes_no", "rating"])
def test_orders(kind: type[CoSENT | AnglE], theirs: type[CoSENTLoss], scale: float, labels: Tensor) -> None:
    targets = Targets(labels, 0.0, float(labels.max()), torch.arange(2 * ROWS).reshape(ROWS, 2))
    for width in (24, 25):
        ours, other = pairs(3, width), pairs(3, width)
        found = kind(scale=scale)(Outputs(torch.zeros(ROWS, 1), ours), targets)
        expected = theirs(nn.Identity(), scale=scale).compute_loss_from_embeddings(list(other), labels)
        assert torch.allclose(found, expected, atol=1e-5)
        found.backward()
        expected.backward()
        assert all(torch.allclose(a.grad, b.grad, atol=1e-5) for a, b in zip(ours, other, strict=True))


def classes() -> tuple[Tensor, Targets]:
    labels = (torch.arange(ROWS) % 5).square() % 5
    scores = torch.randn(ROWS, 5, generator=torch.Generator().manual_seed(4), requires_grad=True)
    return scores, Targets(labels, 0.0, 1.0, torch.zeros(ROWS, 1, dtype=torch.long))


def test_class_balanced_is_the_weighted_cross_entropy_of_torch() -> None:
    scores, targets = classes()
    mine = ClassBalanced(beta=0.9).learned(targets)
    assert isinstance(mine, ClassBalanced)
    expected = F.cross_entropy(scores, targets.labels, weight=mine.weights, reduction="sum") / ROWS
    assert torch.allclose(mine(Outputs(scores), targets), expected, atol=1e-6)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_written_out(gamma: float) -> None:
    scores, targets = classes()
    right = scores.softmax(1)[torch.arange(ROWS), targets.labels]
    expected = -((1 - right) ** gamma * right.log()).mean()
    found = Focal(gamma=gamma)(Outputs(scores), targets)
    assert torch.allclose(found, expected, atol=1e-6)
    (mine,), (theirs,) = (torch.autograd.grad(value, scores) for value in (found, expected))
    assert torch.allclose(mine, theirs, atol=1e-6)


def test_smoothed_binary_cross_entropy_is_smoothed_cross_entropy_over_two_classes() -> None:
    scores = torch.randn(ROWS, 1, generator=torch.Generator().manual_seed(5))
    targets = Targets(torch.arange(ROWS) % 2, 0.0, 1.0, torch.zeros(ROWS, 2, dtype=torch.long))
    expected = F.cross_entropy(F.pad(scores, (1, 0)), targets.labels, label_smoothing=0.3)
    assert torch.allclose(BinaryCrossEntropy(smoothing=0.3)(Outputs(scores), targets), expected, atol=1e-6)


def test_pearson_is_one_minus_the_correlation() -> None:
    scores = torch.randn(ROWS, 1, generator=torch.Generator().manual_seed(6))
    labels = torch.arange(ROWS) % 6 - 0.5
    targets = Targets(labels, -1.0, 5.0, torch.zeros(ROWS, 2, dtype=torch.long))
    expected = 1 - torch.corrcoef(torch.stack([scores[:, 0], labels]))[0, 1]
    assert torch.allclose(Pearson()(Outputs(scores), targets), expected, atol=1e-6)
