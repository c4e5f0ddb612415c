"""The demo: that its data keep their own rules, and that it ends with better answers than a guess."""

import csv
import re
import tomllib
from collections import Counter, defaultdict
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from minbert.cli.demo import INPUTS
from minbert.cli.main import app
from minbert.recipe import load_recipe
from minbert.runs import Run
from minbert.training.setup import load_data

PACKAGE = Path(str(resources.files("minbert")))
TASKS: dict[str, Any] = tomllib.loads((PACKAGE / "recipes" / "demo.toml").read_text())["tasks"]
SPLITS = [(task, split) for task in TASKS for split in ("train", "dev")]
Gram = tuple[str, ...]


def rows_of(task: str, split: str) -> list[dict[str, str]]:
    with (PACKAGE / "recipes" / TASKS[task][split]).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def texts_of(task: str, row: dict[str, str]) -> list[str]:
    columns = TASKS[task]["text"]
    return [row[column] for column in ([columns] if isinstance(columns, str) else columns)]


def labels(task: str, split: str) -> list[str]:
    return [row[TASKS[task]["label"]] for row in rows_of(task, split)]


def grams(text: str) -> set[Gram]:
    """The runs of four words of a text; of a shorter one, all its words."""
    words = re.findall(r"[a-z0-9']+", text.lower())
    return {tuple(words[i : i + 4]) for i in range(max(1, len(words) - 3))}


def alike(texts: list[tuple[int, str]]) -> list[tuple[str, str]]:
    """Pairs of texts of different rows that share over half of the runs of the shorter one."""
    found, cut = [], [grams(text) for _, text in texts]
    places: dict[Gram, list[int]] = defaultdict(list)
    for number, (row, text) in enumerate(texts):
        shared = Counter(other for gram in cut[number] for other in places[gram])
        for other, count in shared.items():
            if texts[other][0] != row and count / min(len(cut[number]), len(cut[other])) > 0.5:
                found.append((texts[other][1], text))
        for gram in cut[number]:
            places[gram].append(number)
    return found


ROWS = [(task, split, row) for task, split in SPLITS for row in rows_of(task, split)]
TEXTS = [(number, text) for number, (task, _, row) in enumerate(ROWS) for text in texts_of(task, row)]


class TestRules:
    def test_no_text_stands_in_two_splits_and_no_row_twice(self) -> None:
        homes = defaultdict(set)
        for task, split, row in ROWS:
            for text in texts_of(task, row):
                homes[text.strip().lower()].add(split)
        assert [text for text, splits in homes.items() if len(splits) > 1] == []
        rows = Counter((task, *sorted(texts_of(task, row))) for task, _, row in ROWS)
        assert [row for row, count in rows.items() if count > 1] == []

    def test_no_text_stands_in_two_rows(self) -> None:
        homes = defaultdict(set)
        for number, text in TEXTS:
            homes[text.strip().lower()].add(number)
        assert [text for text, rows in homes.items() if len(rows) > 1] == []

    def test_no_two_texts_of_different_rows_share_over_half_of_their_words_runs(self) -> None:
        assert alike(TEXTS) == []

    @pytest.mark.parametrize(
        ("left", "right", "found"),
        [
            ("one two three four five six", "zero one two three four five", True),
            ("one two three four five", "two three four five nine", False),
            ("No way!", "no, WAY", True),
            ("No way!", "no way at all now", False),
            ("it's one two three", "it s one two three", False),
        ],
    )
    def test_alike_is_what_the_rule_says(self, left: str, right: str, found: bool) -> None:
        assert bool(alike([(0, left), (1, right)])) == found
        assert not alike([(0, left), (0, right)])


class TestFiles:
    def test_a_task_has_over_three_hundred_rows_and_a_dev_part(self) -> None:
        for task in TASKS:
            train, dev = len(rows_of(task, "train")), len(rows_of(task, "dev"))
            assert train >= 300 and 80 <= dev < train / 3

    @pytest.mark.parametrize(("task", "split"), SPLITS)
    def test_the_columns_are_those_of_the_recipe(self, task: str, split: str) -> None:
        for row in rows_of(task, split):
            text = TASKS[task]["text"]
            assert list(row) == [*([text] if isinstance(text, str) else text), TASKS[task]["label"]]
            assert all(cell == cell.strip() and cell for cell in row.values())

    @pytest.mark.parametrize("split", ["train", "dev"])
    def test_the_labels_are_valid_and_balanced(self, split: str) -> None:
        sentiment = Counter(labels("sentiment", split))
        assert sorted(sentiment) == list("01234") and min(sentiment.values()) > 0.8 * max(sentiment.values())
        same = Counter(labels("questions", split))
        assert sorted(same) == ["no", "yes"] and 0.4 < same["yes"] / same.total() < 0.6
        ratings = [float(label) for label in labels("similarity", split)]
        assert all(re.fullmatch(r"[0-5]\.\d", label) for label in labels("similarity", split))
        fifths = Counter(min(4, int(rating)) for rating in ratings)
        assert len(fifths) == 5 and min(fifths.values()) > 0.5 * max(fifths.values())

    def test_a_label_can_not_be_told_from_the_length_of_the_text(self) -> None:
        for split in ("train", "dev"):
            length = {"yes": [], "no": []}
            for row in rows_of("questions", split):
                length[row["same"]].append(sum(map(len, texts_of("questions", row))))
            yes, no = (sum(found) / len(found) for found in length.values())
            assert 0.7 < yes / no < 1.4

    def test_minbert_finds_no_leak(self) -> None:
        for data in load_data(load_recipe("demo")).values():
            assert not data.leaked("dev").any()

    def test_the_three_inputs_are_not_in_the_data(self) -> None:
        shown = [text for given in INPUTS.values() for text in ([given] if isinstance(given, str) else given)]
        assert set(INPUTS) == set(TASKS)
        pairs = alike([*TEXTS, *((-1, text) for text in shown)])
        assert not {text for pair in pairs for text in pair} & set(shown)


@pytest.mark.slow
def test_the_demo_beats_its_floors_and_says_what_to_do_next(
    tmp_path: Path, minilm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = CliRunner(env={"COLUMNS": "80"}).invoke(app, ["demo"], catch_exceptions=False)
    assert said.exit_code == 0, said.output
    result = Run(tmp_path / "runs" / "demo").read("result.json")
    for task in result["tasks"].values():
        dev = task["dev"][task["metric"]]
        assert dev > task["floors"]["trivial"] + 0.1 and dev > task["floors"]["frozen"] - 0.05
    for word in ("three inputs", "-> ", "of 5", "minbert init a.csv b.csv -o mine.toml"):
        assert word in said.output
    again = CliRunner(env={"COLUMNS": "80"}).invoke(app, ["demo"], catch_exceptions=False)
    assert again.exit_code == 0 and "is there already" in again.output
