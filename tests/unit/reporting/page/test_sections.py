"""Sections on answers that can be worked out, and a page of many tasks that stays small."""

import math
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from minbert.reporting.page.confusion import confusion
from minbert.reporting.page.embedding import map_of, no_map_of, plane
from minbert.reporting.page.errors import errors, worst
from minbert.reporting.page.experiment import flat, interval
from minbert.reporting.page.material import Material
from minbert.reporting.page.page import run_page
from minbert.reporting.page.reliability import reliability
from minbert.reporting.page.similarity import similarity
from minbert.tasks import Classes, Rating, Split, Task, YesNo
from minbert.training.answers import Answered

LABELS = tuple(f"class {i}" for i in range(20))
SOURCE: dict[str, Any] = {"label": "label", "train": "train.csv"}


def answered(scores: list[list[float]], labels: list[float]) -> dict[str, Answered]:
    return {"dev": Answered(torch.tensor(scores), torch.tensor(labels), np.zeros(len(labels), dtype=bool))}


def material(tasks: dict[str, Task], answers: dict[str, dict[str, Answered]], **more: Any) -> Material:
    """A run of which nothing but the answers matters."""
    row = {"train": {}, "dev_without_leaks": {}, "dev_leaked_rows": 0, "embedding": {}, "floors": {}}
    results = {
        name: {**row, "metric": task.scored_by, "scored_by": "head", "dev": {task.scored_by: 0.5}}
        for name, task in tasks.items()
    }
    result = {"tasks": results, "note": "", "best": {}, "selected_on": "dev", "seed": 0, "encoder": "tiny"}
    record = {
        "environment": {},
        "encoder": {"source": "tiny", "sha256": "0"},
        "recipe_sha256": "0",
        "files": {},
        "rows": {},
    }
    given: dict[str, Any] = {
        "lines": [],
        "times": [],
        "conflicts": [],
        "rows": {},
        "missing": {"rows": "they are gone"},
    }
    given |= more
    return Material(Path("run"), result, record, "seed = 0", tasks=tasks, answers=answers, digests={}, **given)


class TestErrors:
    def test_the_surest_of_the_wrong_come_first(self) -> None:
        task = YesNo(text=("a", "b"), **SOURCE)
        found = answered([[3.0], [-1.0], [0.5], [-4.0]], [0, 1, 1, 1])["dev"]
        order, labels, said, sure = worst(task, found)
        assert order == [3, 0, 1] and labels == ["yes", "no", "yes"] and said == ["no", "yes", "no"]
        assert sure == ["98%", "95%", "73%"]

    def test_ratings_are_ordered_by_distance(self) -> None:
        task = Rating(text=("a", "b"), range=(0.0, 5.0), **SOURCE)
        order, labels, said, off = worst(task, answered([[0.5], [1.2], [0.0]], [2.0, 1.0, 0.0])["dev"])
        assert order == [1, 0] and off == ["+4.00", "+0.50"], "the third is right"
        assert labels[0] == "1.00" and said[0] == "5.00"

    def test_a_task_without_errors_says_so(self) -> None:
        task = YesNo(text=("a",), **SOURCE)
        made = material({"t": task}, {"t": answered([[1.0]], [1])})
        assert "every answer on dev is right" in errors(made).written() and "they are gone" in errors(made).written()


class TestConfusion:
    def test_many_classes_become_a_list_of_the_most_frequent_confusions(self) -> None:
        task = Classes(text=("a",), labels=LABELS, **SOURCE)
        scores = torch.eye(20)[[1, 1, 1, 2, 5]].tolist()
        section = confusion(material({"t": task}, {"t": answered(scores, [0, 0, 1, 3, 5])}))
        assert section is not None
        written = section.written()
        assert written.index("class 0") < written.index("class 3") and "class 5" not in written
        assert written.count("<tr>") == 3 and "100%" in written

    def test_few_classes_are_a_matrix_with_precision_and_recall(self) -> None:
        task = Classes(text=("a",), labels=("x", "y"), **SOURCE)
        scores = [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]
        section = confusion(material({"t": task}, {"t": answered(scores, [0, 0, 1, 1])}))
        assert section is not None
        written = section.written()
        assert all(word in written for word in ("recall", "precision", "67%", "50%", "--v:1.00"))


class TestAbsent:
    def test_a_cosine_is_no_probability(self) -> None:
        made = material({"t": YesNo(text=("a", "b"), **SOURCE)}, {"t": answered([[0.1]], [1])})
        made.result["tasks"]["t"]["scored_by"] = "embedding"
        section = reliability(made)
        assert section is not None and section.absent == "no head with probabilities was trained"

    def test_what_no_task_asks_for_is_no_section(self) -> None:
        rating = material({"t": Rating(text=("a", "b"), range=(0.0, 5.0), **SOURCE)}, {})
        assert confusion(rating) is None and reliability(rating) is None
        found = similarity(rating)
        assert found is not None and found.absent == "no such task was scored"
        assert similarity(material({"t": YesNo(text=("a",), **SOURCE)}, {})) is None

    def test_few_texts_make_no_map(self) -> None:
        assert map_of(material({}, {}, missing={})).left == "there are fewer than 8 texts on dev"


class TestSize:
    def test_a_page_of_many_tasks_stays_below_two_megabytes(self) -> None:
        rng = np.random.default_rng(0)
        names = [f"task_{i}" for i in range(12)]
        tasks: dict[str, Task] = {}
        answers, rows = {}, {}
        for i, name in enumerate(names):
            if i % 2:
                tasks[name] = Rating(text=("a", "b"), range=(0.0, 5.0), **SOURCE)
                answers[name] = answered(rng.random((3000, 1)).tolist(), (rng.random(3000) * 5).tolist())
            else:
                tasks[name] = Classes(text=("a",), labels=LABELS[:15], **SOURCE)
                answers[name] = answered(rng.random((3000, 15)).tolist(), rng.integers(0, 15, 3000).tolist())
            columns = tuple(("<&'\" " * 400,) * 3000 for _ in tasks[name].text)
            rows[name] = Split(columns, answers[name]["dev"].labels, ("dev.csv:1",) * 3000)
        pairs = len(list(combinations(names, 2)))
        groups = ["embeddings", *(f"layer {i}" for i in range(24)), "all"]
        about = {"stage": "s", "epoch": 1, "tasks": names, "norms": dict.fromkeys(groups, [1.0] * 12)}
        conflicts = [
            {**about, "step": step, "cosines": {g: (rng.random(pairs) - 0.5).tolist() for g in groups}}
            for step in range(1, 61)
        ]
        made = material(tasks, answers, rows=rows, conflicts=conflicts)
        text = run_page(made, no_map_of("not asked for"))
        assert 200_000 < len(text.encode()) < 2_000_000 and "Drawn: the 6 of 66 pairs" in text


def test_a_map_is_the_same_every_time_and_keeps_neighbours() -> None:
    rng = np.random.default_rng(0)
    vectors = np.concatenate([rng.normal(size=(20, 8)), rng.normal(size=(20, 8)) + 20])
    places = plane(vectors)
    assert (places == plane(vectors)).all() and places.min() == 0 and places.max() == 1
    middles = places[:20].mean(0), places[20:].mean(0)
    within = np.linalg.norm(places[:20] - middles[0], axis=1).mean()
    assert np.linalg.norm(middles[0] - middles[1]) > 2 * within


def test_an_interval_is_students() -> None:
    mean, half = interval([1.0, 2.0, 3.0])
    assert mean == 2 and half == pytest.approx(4.302653 / math.sqrt(3))
    assert math.isnan(interval([1.0])[1])


def test_changes_are_paths() -> None:
    table = {"seed": 3, "stages": {"train": {"lr": 1e-4, "merge": {"kind": "pcgrad"}, "losses": {}}}}
    assert flat(table) == {
        "seed": 3,
        "stages.train.lr": 1e-4,
        "stages.train.merge": {"kind": "pcgrad"},
        "stages.train.losses": {},
    }
