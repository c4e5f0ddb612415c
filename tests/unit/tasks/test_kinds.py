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


@pytest.mark.parametrize("label", ["5.1", "-1", "nan", "many", "inf", "3,5", "bad, really"])
def test_a_rating_out_of_range_is_a_fault(label: str) -> None:
    said = str(Rating(text="x", range=(0, 5), **FILES).parse(label))  # type: ignore[arg-type]
    assert "0 to 5" in said and ("decimal point" in said) == (label == "3,5")


def test_answers_are_in_the_unit_of_the_labels_and_ratings_are_clipped() -> None:
    rating = Rating(text="x", range=(1, 5), **FILES)  # type: ignore[arg-type]
    assert rating.answers(torch.tensor([[-0.5], [0.5], [2.0]])).tolist() == [1.0, 3.0, 5.0]
    assert YesNo(text="x", **FILES).answers(torch.tensor([[-1.0], [0.1]])).tolist() == [0, 1]  # type: ignore[arg-type]


def test_what_does_not_fit_is_named() -> None:
    wrong = YesNo(text="x", head=Concat(), metric="pearson", **FILES)  # type: ignore[arg-type]
    assert len(wrong.faults()) == 2
    pair = YesNo(text=("a", "b"), head=Cosine(), **FILES)  # type: ignore[arg-type]
    assert "for ratings" in pair.faults()[0]


def test_words_that_python_takes_for_numbers_are_words() -> None:
    labels = ["nan", "2", "inf", "1.5", "apple", "1"]
    for turn in range(len(labels)):
        task = Classes(text="x", **FILES).learned(labels[turn:] + labels[:turn])  # type: ignore[arg-type]
        assert task.labels == ("1", "1.5", "2", "apple", "inf", "nan")  # type: ignore[attr-defined]


def test_given_labels_are_kept_in_their_order() -> None:
    task = Classes(text="x", labels=("spam", "ham"), **FILES)  # type: ignore[arg-type]
    assert task.learned(["ham", "spam", "other"]) is task
    assert (task.outputs, task.parse("ham")) == (2, 1.0)


def test_labels_have_the_type_that_losses_want() -> None:
    assert Classes(text="x", **FILES).tensor([0.0, 2.0]).dtype == torch.long  # type: ignore[arg-type]
    assert YesNo(text="x", **FILES).tensor([0.0, 1.0]).dtype == torch.long  # type: ignore[arg-type]
    assert Rating(text="x", range=(0, 5), **FILES).tensor([0.5, 5.0]).dtype == torch.float32  # type: ignore[arg-type]


def test_the_usual_loss_and_metric_fit_the_kind() -> None:
    for task in (Classes(text="x", **FILES), YesNo(text="x", **FILES), Rating(text="x", range=(0, 1), **FILES)):  # type: ignore[arg-type]
        assert task.kind in task.loss.kinds and task.scored_by == task.metrics[0]
        assert task.faults() == []


def test_every_metric_of_the_kind_is_scored() -> None:
    scores = torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 1.0]])
    task = Classes(text="x", labels=("a", "b"), metric="macro_f1", **FILES)  # type: ignore[arg-type]
    # a: 1 found, 1 false; b: 1 found, 1 missed: F1 2/3 for both.
    found = task.scores(torch.tensor([0, 1, 1]), scores)
    assert found == {"accuracy": pytest.approx(2 / 3), "macro_f1": pytest.approx(2 / 3)}
    assert task.scored_by == "macro_f1"


@pytest.mark.parametrize("bounds", [(5, 0), (1, 1), (0, float("inf")), (0, 1, 2)])
def test_a_range_rises_between_two_finite_numbers(bounds: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="range"):
        Rating(text="x", range=bounds, **FILES)  # type: ignore[arg-type]


def test_a_text_is_one_column_or_two() -> None:
    for text in ((), ("a", "b", "c")):
        with pytest.raises(ValueError, match="text"):
            Classes(text=text, **FILES)  # type: ignore[arg-type]
    assert Classes(text="x", **FILES).is_pair is False  # type: ignore[arg-type]
