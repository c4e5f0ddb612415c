"""A run that goes task by task says what each phase did to every task."""

from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import toy_table

from minbert import train
from minbert.recipe import check_recipe
from minbert.runs import read_lines
from minbert.training.forgetting import forgetting, worst_drops

DEMO = Path(str(resources.files("minbert") / "demo"))
TASKS = ("sentiment", "questions", "similarity")
METRICS = {"sentiment": "accuracy", "questions": "accuracy", "similarity": "pearson"}


def trained(encoder: Path, run: Path, **stage: Any) -> list[dict[str, Any]]:
    table = toy_table(encoder, **stage)
    for task in table["tasks"].values():
        task["limit"] = 16
    train(check_recipe(table, DEMO), run, with_floors=False)
    return read_lines(run / "metrics.jsonl")


def phase(task: str, epoch: int = 1, **scores: float) -> dict[str, Any]:
    dev = {name: {"f1": 0.0, METRICS[name]: score} for name, score in scores.items()}
    return {"event": "phase", "stage": "train", "epoch": epoch, "task": task, "dev": dev}


class TestRun:
    def test_sequential_writes_a_line_after_each_phase(self, tiny_bert: Path, tmp_path: Path) -> None:
        lines = trained(tiny_bert, tmp_path / "run", mixture="sequential", batch=8)
        said = [(line["event"], line["epoch"], line.get("task")) for line in lines]
        assert said == [
            row for epoch in (1, 2) for row in [*(("phase", epoch, task) for task in TASKS), ("epoch", epoch, None)]
        ]
        rows = forgetting(lines, METRICS)
        assert [(row["epoch"], row["task"]) for row in rows] == [(epoch, task) for epoch in (1, 2) for task in TASKS]
        assert all(set(row["scores"]) == set(TASKS) for row in rows)
        # The last phase of an epoch and the epoch itself score the same weights on the same rows.
        for row, line in zip(rows[2::3], [line for line in lines if line["event"] == "epoch"], strict=True):
            assert row["scores"] == {task: line["dev"][task][metric] for task, metric in METRICS.items()}

    @pytest.mark.parametrize("stage", [{}, {"mixture": "round_robin"}, {"mixture": "sequential", "tasks": "questions"}])
    def test_there_are_no_phases_where_tasks_alternate_or_there_is_one(
        self, tiny_bert: Path, tmp_path: Path, stage: dict[str, Any]
    ) -> None:
        lines = trained(tiny_bert, tmp_path / "run", epochs=1, **stage)
        assert [line["event"] for line in lines] == ["epoch"] and forgetting(lines, METRICS) == []


def test_what_a_stage_between_did_is_not_the_next_phases() -> None:
    lines = [
        phase("sentiment", sentiment=0.5, questions=0.6),
        {"event": "epoch", "stage": "train", "dev": {}},
        {"event": "epoch", "stage": "between", "dev": {}},
        phase("questions", sentiment=0.3, questions=0.9),
        phase("sentiment", sentiment=0.4, questions=0.8),
    ]
    assert [row["change"] for row in forgetting(lines, METRICS)] == [
        {},
        {},
        pytest.approx({"sentiment": 0.1, "questions": -0.1}),
    ]


class TestMatrix:
    LINES = (
        phase("sentiment", sentiment=0.5, questions=0.6),
        phase("questions", sentiment=0.3, questions=0.9),
        {"event": "epoch", "stage": "train", "dev": {}},
        phase("sentiment", 2, sentiment=0.6, questions=0.8, similarity=0.1),
        phase("questions", 2, sentiment=0.5, questions=0.7, similarity=-0.2),
    )

    def test_a_row_is_the_scores_and_what_changed(self) -> None:
        rows = forgetting(list(self.LINES), METRICS)
        assert [row["change"] for row in rows] == [
            {},
            pytest.approx({"sentiment": -0.2, "questions": 0.3}),
            pytest.approx({"sentiment": 0.3, "questions": -0.1}),
            pytest.approx({"sentiment": -0.1, "questions": -0.1, "similarity": -0.3}),
        ]
        assert {key: rows[2][key] for key in ("stage", "epoch", "task")} == {
            "stage": "train",
            "epoch": 2,
            "task": "sentiment",
        }

    def test_a_task_whose_head_begins_has_not_changed(self) -> None:
        first, second = (
            phase("sentiment", similarity=0.6, sentiment=0.4),
            phase("questions", similarity=0.1, sentiment=0.3),
        )
        lines = [{**first, "heads": ["sentiment"]}, {**second, "heads": ["sentiment", "similarity"]}]
        assert forgetting(lines, METRICS)[1]["change"] == pytest.approx({"sentiment": -0.1})

    def test_the_worst_drop_of_a_task_is_while_another_trained(self) -> None:
        drops = worst_drops(forgetting(list(self.LINES), METRICS))
        # The questions fell by .1 twice; in the second case they were trained themselves.
        assert drops == {
            "sentiment": (pytest.approx(-0.2), "questions"),
            "questions": (pytest.approx(-0.1), "sentiment"),
            "similarity": (pytest.approx(-0.3), "questions"),
        }

    def test_nothing_falls_where_nothing_falls(self) -> None:
        lines = [phase("sentiment", sentiment=0.1, questions=0.2), phase("questions", sentiment=0.1, questions=0.1)]
        assert worst_drops(forgetting(lines, METRICS)) == {} == worst_drops([])
