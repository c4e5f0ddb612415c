"""Where a model errs: every number worked out again, by hand or by the slow way."""

from typing import Any

import numpy as np
import pytest
import torch

from minbert.metrics import METRICS
from minbert.statistics import fit_temperature, negative_log_likelihood
from minbert.tasks import Classes, Rating, Split, Task, YesNo
from minbert.training.answers import Answered
from minbert.training.details import FitRows, calibration, details, fit_rows

FILES: dict[str, Any] = {"label": "y", "train": "x.csv"}
TOPIC = Classes(text=("a",), labels=("x", "y", "z"), **FILES)
SAME = YesNo(text=("a", "b"), **FILES)
NEAR = Rating(text=("a", "b"), range=(0.0, 5.0), **FILES)
HALVES = fit_rows({}, same=False)


def rows_of(task: Task, count: int = 60, seed: int = 0) -> tuple[Split, torch.Tensor]:
    """Rows whose text has as many words as its number, modulo ten, plus one; and scores of them."""
    rng = np.random.default_rng(seed)
    texts = tuple(" ".join(["word"] * (i % 10 + 1)) for i in range(count))
    if task.kind == "rating":
        labels = torch.from_numpy(np.round(5 * rng.random(count), 1)).float()
        scores = labels[:, None] / 5 + 0.2 * torch.from_numpy(rng.normal(size=(count, 1))).float()
    else:
        labels = torch.from_numpy(rng.integers(0, max(2, task.outputs), count))
        scores = torch.from_numpy(2 * rng.normal(size=(count, task.outputs))).float()
    places = tuple(f"dev.csv:{i + 2}" for i in range(count))
    return Split((texts,) * len(task.text), labels, places), scores


@pytest.mark.parametrize("task", [TOPIC, SAME], ids=["classes", "yes_no"])
def test_the_worst_are_the_wrong_ones_in_order(task: Task) -> None:
    rows, scores = rows_of(task)
    found = details("t", task, rows, scores, HALVES, worst=100)["worst"]
    answers = task.answers(scores)
    wrong = {rows.places[i] for i in np.flatnonzero(answers != rows.labels.numpy())}
    assert {one["place"] for one in found} == wrong
    sure = []
    for one in found:
        i = rows.places.index(one["place"])
        names = ["no", "yes"] if task is SAME else ["x", "y", "z"]
        assert (one["label"], one["answer"]) == (names[int(rows.labels[i])], names[answers[i]])
        assert one["texts"] == [column[i] for column in rows.columns]
        logits = torch.cat([torch.zeros(1), scores[i]]) if task is SAME else scores[i]
        table = torch.softmax(logits.double(), 0)
        assert one["probability"] == pytest.approx(float(table[answers[i]]))
        sure.append(float(table[int(rows.labels[i])]))
    assert sure == sorted(sure)
    assert len(details("t", task, rows, scores, HALVES, worst=3)["worst"]) == 3
    assert details("t", task, rows, scores, HALVES, worst=0)["worst"] == []


def test_the_worst_ratings_are_the_farthest_off() -> None:
    rows, scores = rows_of(NEAR)
    found = details("t", NEAR, rows, scores, HALVES, worst=100)["worst"]
    off = np.abs(NEAR.answers(scores) - rows.labels.numpy())
    assert [abs(one["error"]) for one in found] == pytest.approx(sorted(off[off > 0], reverse=True))
    assert all(one["error"] == pytest.approx(one["answer"] - one["label"]) for one in found)


@pytest.mark.parametrize("task", [TOPIC, SAME, NEAR], ids=["classes", "yes_no", "rating"])
def test_lengths_part_the_rows(task: Task) -> None:
    rows, scores = rows_of(task)
    found = details("t", task, rows, scores, HALVES, worst=0)
    words = np.array([sum(len(text.split()) for text in texts) for texts in zip(*rows.columns, strict=True)])
    answers, labels = task.answers(scores), rows.labels.numpy()
    assert sum(part["rows"] for part in found["by_length"]) == len(rows) and len(found["by_length"]) == 5
    for part in found["by_length"]:
        low, high = part["words"]
        inside = (words >= low) & (words <= high)
        assert part["rows"] == inside.sum()
        if task is NEAR:
            assert part["mean_absolute_error"] == pytest.approx(np.abs(answers - labels)[inside].mean())
            assert part["pearson"] == pytest.approx(METRICS["pearson"](labels[inside], answers[inside]))
        else:
            assert part["accuracy"] == (answers == labels)[inside].mean()
    assert ("calibration" in found) == (task is not NEAR) and ("classes" in found) == (task is not NEAR)


def test_fifths_part_the_range_of_a_rating() -> None:
    rows, scores = rows_of(NEAR)
    found = details("t", NEAR, rows, scores, HALVES, worst=0)["by_rating"]
    labels, answers = rows.labels.numpy(), NEAR.answers(scores)
    assert [part["rating"] for part in found] == [[i, i + 1] for i in range(5)]
    for part in found:
        low, high = part["rating"]
        inside = (labels > low) & (labels <= high) | (labels == 0) & (low == 0)
        assert part["rows"] == inside.sum()
        assert part["bias"] == pytest.approx((answers - labels)[inside].mean())


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("task", [TOPIC, SAME, NEAR], ids=["classes", "yes_no", "rating"])
def test_few_rows_are_enough(task: Task, count: int) -> None:
    rows, scores = rows_of(task, count)
    found = details("t", task, rows, scores, HALVES, worst=5)
    assert found["rows"] == count and sum(part["rows"] for part in found["by_length"]) == count


class TestTemperature:
    def test_it_is_fitted_on_rows_that_are_not_looked_at(self) -> None:
        rows, scores = rows_of(TOPIC)
        other, theirs = rows_of(TOPIC, seed=1)
        held = Answered(theirs, other.labels, np.zeros(60, bool))
        for splits, same, said in (
            ({"dev": held, "select": held}, True, "the rows held out to select on"),
            ({"dev": held, "select": held}, False, "the rows held out to select on"),
            ({"dev": held}, False, "the run's dev rows"),
        ):
            fit = fit_rows(splits, same)
            assert fit.said == said and fit.answered is held
        assert fit_rows({"dev": held}, True).answered is None and "halves" in fit_rows({"dev": held}, True).said
        labels = rows.labels.numpy()
        found = calibration(scores.double().numpy(), labels, FitRows("others", held))
        temperature = fit_temperature(theirs.double().numpy(), other.labels.numpy())
        assert found["temperature"] == [temperature] and found["fitted_on"] == "others"
        assert found["before"]["nll"] == negative_log_likelihood(scores.double().numpy(), labels)
        assert found["after"]["nll"] == pytest.approx(
            negative_log_likelihood(scores.double().numpy(), labels, temperature)
        )

    def test_halves_do_not_see_themselves(self) -> None:
        rows, scores = rows_of(TOPIC, 40)
        found = calibration(scores.double().numpy(), rows.labels.numpy(), HALVES)
        assert len(set(found["temperature"])) == 2
        whole = fit_temperature(scores.double().numpy(), rows.labels.numpy())
        own = negative_log_likelihood(scores.double().numpy(), rows.labels.numpy(), whole)
        assert found["after"]["nll"] > own

    def test_scores_that_are_too_sure_are_cooled(self) -> None:
        rng = np.random.default_rng(0)
        labels = rng.integers(0, 3, 600)
        scores = 5 * (rng.normal(size=(600, 3)) + np.eye(3)[labels])
        found = calibration(scores, labels, HALVES)
        assert found["after"]["ece_equal_width"] < 0.5 * found["before"]["ece_equal_width"]
        assert found["after"]["ece_equal_mass"] < 0.5 * found["before"]["ece_equal_mass"]
        assert all(temperature > 2 for temperature in found["temperature"])
        assert sum(part["rows"] for part in found["before"]["reliability"]) == 600
