"""What every head must do."""

import pytest
import torch

from minbert.heads import AnyHead, Head, start

HEADS = [member() for member in AnyHead.__metadata__[0].members.values()]  # type: ignore[attr-defined]


def vectors(head: Head) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(6, 8, generator=generator) for _ in range(head.reads)]


@pytest.mark.parametrize("head", HEADS, ids=lambda head: head.kind)
@pytest.mark.parametrize("project", [0, 3])
def test_shapes_gradients_and_rest(head: Head, project: int) -> None:
    spec = head.model_copy(update={"project": project}) if head.reads == 2 else head
    outputs = 1 if head.kind == "cosine" else 4
    module = start(spec.build(8, outputs), torch.Generator().manual_seed(0)).eval()
    given = vectors(head)
    found = module(*given)
    assert found.scores.shape == (6, outputs)
    assert torch.equal(found.scores, module(*given).scores), "dropout is off at rest"
    parameters = list(module.parameters())
    if parameters:
        found.scores.square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in parameters)
    if head.reads == 2:
        assert [vector.shape for vector in found.vectors] == [(6, project or 8)] * 2


@pytest.mark.parametrize("kind", ["difference", "cosine"])
def test_the_order_of_a_pair_does_not_matter(kind: str) -> None:
    head = next(head for head in HEADS if head.kind == kind)
    module = start(head.build(8, 1), torch.Generator().manual_seed(0)).eval()
    left, right = vectors(head)
    assert torch.allclose(module(left, right).scores, module(right, left).scores, atol=1e-6)


@pytest.mark.parametrize("head", HEADS, ids=lambda head: head.kind)
def test_one_seed_gives_the_same_start(head: Head) -> None:
    first, second = (start(head.build(8, 1), torch.Generator().manual_seed(5)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
