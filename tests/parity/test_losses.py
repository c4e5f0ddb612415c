"""The ranking loss against that of sentence-transformers, the others against torch written out."""

import pytest
import torch
import torch.nn.functional as F
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from torch import Tensor, nn

from minbert.losses import CrossEntropy, MultipleNegativesRanking, Targets
from minbert.outputs import Outputs

BOTH = ("query_to_doc", "doc_to_query")
ROWS = 16


def pairs(seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    left = torch.randn(ROWS, 24, generator=generator)
    return left.requires_grad_(), (left.detach() + torch.randn(ROWS, 24, generator=generator)).requires_grad_()


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
