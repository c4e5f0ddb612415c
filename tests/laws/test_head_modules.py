"""What every head does with dropout, with rows, with its first weights and with wrong settings."""

import pytest
import torch
from torch import Tensor, nn

from minbert.heads import AnyHead, Head, HeadModule, start

MEMBERS = list(AnyHead.__metadata__[0].members.values())  # type: ignore[attr-defined]
WIDTH, ROWS, OUTPUTS = 8, 6, 3
each_member = pytest.mark.parametrize("member", MEMBERS)


def made(member: type[Head], dropout: float = 0.5) -> HeadModule:
    narrow = {"project": 4} if "project" in member.model_fields else {}
    head = member(dropout=dropout, **narrow)  # type: ignore[call-arg]
    return start(head.build(WIDTH, OUTPUTS), torch.Generator().manual_seed(0))


def vectors(member: type[Head]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(ROWS, WIDTH, generator=generator) for _ in range(member.reads)]


@each_member
def test_dropout_works_in_training_alone(member: type[Head]) -> None:
    given, module = vectors(member), made(member)
    rest = module.eval()(*given).scores
    torch.manual_seed(0)
    assert not torch.allclose(module.train()(*given).scores, rest)
    assert torch.equal(made(member, dropout=0.0).train()(*given).scores, rest)


@each_member
def test_it_says_whether_it_has_anything_to_learn(member: type[Head]) -> None:
    for fields in [{}, {"project": 4}] if "project" in member.model_fields else [{}]:
        head = member(**fields)  # type: ignore[arg-type]
        assert head.learns == bool([*head.build(WIDTH, OUTPUTS).parameters()])


@each_member
def test_a_row_does_not_depend_on_the_others(member: type[Head]) -> None:
    given, module = vectors(member), made(member).eval()
    alone = torch.cat([module(*(part[row : row + 1] for part in given)).scores for row in range(ROWS)])
    assert torch.allclose(alone, module(*given).scores, atol=1e-6)


@each_member
def test_first_weights_are_all_drawn_within_their_bound(member: type[Head]) -> None:
    head = member().build(WIDTH, OUTPUTS)
    for parameter in head.parameters():
        nn.init.constant_(parameter, 9.0)
    for layer in start(head, torch.Generator().manual_seed(0)).modules():
        if isinstance(layer, nn.Linear):
            assert all(tensor.abs().max() <= layer.in_features**-0.5 for tensor in layer.parameters())
    assert all(parameter.abs().max() < 9 for parameter in head.parameters())


@each_member
def test_as_many_vectors_as_it_reads(member: type[Head]) -> None:
    with pytest.raises(ValueError, match="unpack"):
        made(member)(*vectors(member), *vectors(member))


@each_member
@pytest.mark.parametrize("wrong", [{"dropout": 1.0}, {"dropout": -0.1}, {"project": -1}, {"pooling": "max"}])
def test_wrong_settings_are_refused(member: type[Head], wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        member(**wrong)  # type: ignore[arg-type]


def test_a_cosine_is_within_1_and_its_gradient_lives_at_both_ends() -> None:
    member = next(member for member in MEMBERS if member.model_fields["kind"].default == "cosine")
    left = torch.randn(ROWS, WIDTH, generator=torch.Generator().manual_seed(2)).requires_grad_()
    scores = member().build(WIDTH, 1).eval()(left, -left.detach()).scores
    assert torch.allclose(scores, torch.full((ROWS, 1), -1.0))
    scores.sum().backward()
    assert left.grad is not None and torch.isfinite(left.grad).all()
