"""Labels in, answers out."""

import pytest
import torch

from minbert.heads import Concat, Cosine
from minbert.tasks import Classes, Rating, YesNo

FILES = {"label": "y", "train": "t.csv"}


def test_classes_are_sorted_as_numbers_where_they_are_numbers() -> None:
    task = Classes(text="x", **FILES)  # type: ignore[arg-type]
    assert task.learned(["10", "2", "1"]).labels == ("1", "2", "10")  # type: ignore[attr-defined]
    assert task.learned(["spam", "ham", "3"]).labels == ("3", "ham", "spam")  # type: ignore[attr-defined]


def test_an_unknown_class_names_the_nearest() -> None:
    task = Classes(text="x", labels=("ham", "spam"), **FILES)  # type: ignore[arg-type]
    assert task.parse("spam") == 1.0
    assert "did you mean 'spam'" in str(task.parse("spom"))


@pytest.mark.parametrize(("label", "number"), [("1.0", 1.0), ("TRUE", 1.0), ("yes", 1.0), ("0", 0.0), ("No", 0.0)])
def test_yes_is_recognised(label: str, number: float) -> None:
    assert YesNo(text="x", **FILES).parse(label) == number  # type: ignore[arg-type]


def test_yes_can_be_named_and_is_asked_for_else() -> None:
    assert "yes = ..." in str(YesNo(text="x", **FILES).parse("dup"))  # type: ignore[arg-type]
    named = YesNo(text="x", yes="dup", **FILES)  # type: ignore[arg-type]
    assert (named.parse("dup"), named.parse("other")) == (1.0, 0.0)


@pytest.mark.parametrize("label", ["5.1", "-1", "nan", "many", "inf"])
def test_a_rating_out_of_range_is_a_fault(label: str) -> None:
    assert "0 to 5" in str(Rating(text="x", range=(0, 5), **FILES).parse(label))  # type: ignore[arg-type]


def test_answers_are_in_the_unit_of_the_labels_and_ratings_are_clipped() -> None:
    rating = Rating(text="x", range=(1, 5), **FILES)  # type: ignore[arg-type]
    assert rating.answers(torch.tensor([[-0.5], [0.5], [2.0]])).tolist() == [1.0, 3.0, 5.0]
    assert YesNo(text="x", **FILES).answers(torch.tensor([[-1.0], [0.1]])).tolist() == [0, 1]  # type: ignore[arg-type]


def test_what_does_not_fit_is_named() -> None:
    wrong = YesNo(text="x", head=Concat(), metric="pearson", **FILES)  # type: ignore[arg-type]
    assert len(wrong.faults()) == 2
    pair = YesNo(text=("a", "b"), head=Cosine(), **FILES)  # type: ignore[arg-type]
    assert "for ratings" in pair.faults()[0]
