"""Tables fit eighty columns, and no number in them is cut or folded."""

import io
import re
from typing import Any, ClassVar

import pytest
from rich.console import Console
from rich.table import Table

from minbert.reporting.report_rows import EXPECTED, NAMES, figures, overall_table, report_table
from minbert.reporting.scores import score_grids
from minbert.reporting.tables import (
    LEGEND,
    dry_tables,
    forgetting_table,
    number,
    result_notes,
    result_table,
    selections,
    table,
)

TASKS = ("sentiment", "paraphrase", "similarity")
METRICS = {"sentiment": "accuracy", "paraphrase": "macro_f1", "similarity": "spearman"}


def shown(*tables: Table) -> str:
    """The tables as a terminal of eighty columns shows them."""
    file = io.StringIO()
    console = Console(file=file, width=80, highlight=False)
    for made in tables:
        console.print(made)
    text = file.getvalue()
    assert all(len(line) <= 80 for line in text.splitlines()) and "…" not in text
    return text


def numbers(text: str) -> list[str]:
    """The words that look like numbers."""
    return re.findall(r"(?<!\S)[-+]?[\d.,]+[*%]?(?!\S)", text)


def values(i: int, sign: float) -> list[float]:
    """Seven numbers of a task; only a correlation can be below 0."""
    return [(sign if i == 2 else 1) * (0.101 + 0.1 * i + 0.011 * j) for j in range(7)]


def result(sign: float = 1.0, by: str = "head") -> dict[str, Any]:
    """A result in which every number is another."""
    tasks = {}
    for i, (name, metric) in enumerate(METRICS.items()):
        value = values(i, sign)
        tasks[name] = {
            "metric": metric,
            "scored_by": by,
            "floors": {"trivial": value[0], "frozen": value[1], "untouched": value[2]},
            "train": {metric: value[3]},
            "dev": {metric: value[4]},
            "dev_rows": 20_215,
            "dev_leaked_rows": 1_234,
            "dev_without_leaks": {metric: value[5]},
            "embedding": {metric: value[6]},
        }
    best = {"stage": "train", "epoch": 2, "select_score": 0.7}
    means = {"raw": 0.777, "norm": 0.888}
    return {"tasks": tasks, **means, "best": best, "selected_on": "dev", "seed": 0, "note": "contaminated"}


class TestResult:
    @pytest.mark.parametrize("by", ["head", "embedding", "nothing"])
    @pytest.mark.parametrize("sign", [1.0, -1.0])
    def test_every_number_is_whole(self, sign: float, by: str) -> None:
        text = shown(result_table(result(sign, by)))
        for i in range(3):
            assert all(f"{value:.3f}" in numbers(text) for value in values(i, sign)), text
        assert all(name in text for name in (*TASKS, *METRICS.values(), "trivial", "frozen", "train", "dev"))

    def test_what_is_missing_is_a_dash(self) -> None:
        found = result()
        found["tasks"]["sentiment"] |= {"floors": {}, "train": {}, "dev": {}, "embedding": {}, "dev_leaked_rows": 0}
        (line,) = (line for line in shown(result_table(found)).splitlines() if "sentiment" in line)
        assert line.split()[2:] == ["-"] * 5 + ["=", "-"]

    def test_the_notes_name_means_best_and_leaks(self) -> None:
        lines = result_notes(result())
        assert "raw 0.777" in lines[0] and "0.888" in lines[0]
        assert lines[1] == "best: stage train, epoch 2, selected on dev; seed 0"
        assert lines[2] == "sentiment: 1,234 of 20,215 dev rows can be had from train"
        assert lines[-1] == "note: contaminated" and len(lines) == 6
        bare = {"tasks": {}, "best": {}, "note": ""}
        assert result_notes(bare) == []

    def test_every_table_says_on_what_it_was_selected(self) -> None:
        share = {**result(), "selected_on": 0.05}
        assert "selected on 5 % of train, held out; dev is only reported; seed 0" in result_notes(share)[1]
        untrained = {**result(), "best": {}}
        assert result_notes(untrained)[1] == "nothing was trained, so no epoch was selected; seed 0"
        assert selections([untrained]) == "no epoch was selected"
        assert selections([result(), untrained]) == "epochs selected on dev"
        for made in (report_table({"3": share}, ""), overall_table({"lr": {"3": share}})):
            assert "epochs selected on 5 % of train" in " ".join(shown(made).split())

    def test_the_legend_explains_the_columns(self) -> None:
        text = shown(result_table(result()))
        for word in ("trivial", "frozen", "cosine", "embed"):
            assert word in text and f"{word}: " in LEGEND


class TestForgetting:
    ROWS: ClassVar = [
        {
            "stage": "finetune",
            "epoch": 10,
            "task": task,
            "scores": {name: 0.5 + 0.01 * i for i, name in enumerate(TASKS)},
            "change": {} if task == "sentiment" else {name: -0.01 * i for i, name in enumerate(TASKS)},
        }
        for task in TASKS
    ]

    def test_every_score_stands_with_its_change(self) -> None:
        text = shown(forgetting_table(self.ROWS, list(TASKS)))
        assert "0.500*" in text and "0.510*" in text and text.count("0.520 -0.020") == 1
        assert "-0.000" in text and "-0.010" in text

    def test_a_task_without_a_score_is_a_dash(self) -> None:
        rows = [{**self.ROWS[0], "scores": {"sentiment": 0.5}}]
        assert shown(forgetting_table(rows, list(TASKS))).split().count("-") == 2


class TestDryRun:
    FOUND: ClassVar[dict[str, Any]] = {
        "tasks": {
            name: {
                "kind": kind,
                "rows": {"train": 141_498, "select": 14_149, "dev": 20_215},
                "classes": classes,
                "mean": 2.72,
                "usable": {},
                "cut": 12_345,
                "leaked": 6_789,
            }
            for name, kind, classes in (
                ("sentiment", "classes", {str(i): 10 for i in range(12)}),
                ("paraphrase", "yes_no", {"no": 625, "yes": 375}),
                ("similarity", "rating", {}),
            )
        },
        "stages": {"pretrain": {"steps": 41_650, "rows": dict.fromkeys(TASKS, 141_498)}},
    }

    def test_every_number_is_whole(self) -> None:
        text = shown(*dry_tables(self.FOUND))
        for word in ("141,498", "14,149", "20,215", "12,345", "6,789", "41,650", "2.72"):
            assert re.search(rf"(?<!\S){re.escape(word)}(?![^\s,])", text), (word, text)

    def test_more_classes_than_fit_are_counted(self) -> None:
        assert re.search(r"4\s+more", " ".join(shown(dry_tables(self.FOUND)[0]).split()))


class TestReport:
    RESULTS: ClassVar = {row: result(sign=-1.0 if row == "7" else 1.0) for row in NAMES}

    def test_every_figure_of_ours_and_of_the_report_is_whole(self) -> None:
        text = shown(report_table(self.RESULTS, "title"))
        for row, figure in EXPECTED.items():
            assert all(f"{value:.3f}" in numbers(text) for value in figure), (row, text)
            assert all(number(value) in numbers(text) for value in figures(self.RESULTS[row])), (row, text)
        assert text.count("report") == len(EXPECTED)

    def test_a_row_that_has_not_run_is_left_out(self) -> None:
        assert "row 3" not in shown(report_table({"1": result()}, ""))

    def test_settings_stand_beside_each_other(self) -> None:
        text = shown(overall_table({"lr 1e-05": self.RESULTS, "lr 0.0001": {"3": result()}}))
        (line,) = (line for line in text.splitlines() if line.strip().startswith("3 "))
        assert line.split()[-3:] == ["0.586", "0.777", "0.777"]
        assert "0.410 0.777 -" in " ".join(text.split())

    def test_the_expected_means_are_those_of_the_devs(self) -> None:
        for figure in EXPECTED.values():
            assert figure[-1] == pytest.approx(sum(figure[1:6:2]) / 3, abs=0.002)


def test_scores_of_a_file_have_classes_and_confusion() -> None:
    one = {"precision": 0.123, "recall": 0.456, "f1": 0.789, "rows": 20_215.0}
    found = {"task": "topic", "rows": 40_430, "metrics": {"accuracy": 0.321}, "classes": {"no": one, "yes": one},
             "confusion": [[20_000, 215], [3, 20_212]]}  # fmt: skip
    text = shown(*(grid.rich(80) for grid in score_grids(found)))
    for word in ("0.321", "0.123", "0.456", "0.789", "20215", "20000", "215", "3", "20212"):
        assert word in numbers(text), (word, text)
    assert len(score_grids({key: value for key, value in found.items() if key != "classes"})) == 1


def test_a_table_without_a_title_has_no_blank_one() -> None:
    assert shown(table("", ["a"], [["1"]])).split() == ["a", "─" * 5, "1"]
