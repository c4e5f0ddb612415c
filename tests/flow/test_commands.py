"""The commands from outside: what they write, what they print, how they fail."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from tests.conftest import TINY
from typer.testing import CliRunner

import minbert
from minbert.cli.errors import told
from minbert.cli.main import app
from minbert.encoder import Bert, save_folder
from minbert.encoder.bert import fresh
from minbert.errors import DataError, StorageError
from minbert.inference import load
from minbert.recipe import load_recipe
from minbert.reporting.report_rows import EXPECTED
from minbert.text.tokenizer import load_tokenizer
from minbert.training import Interrupted

DEMO = Path(str(resources.files("minbert") / "demo"))
COMMANDS = [
    "demo",
    "init",
    "train",
    "evaluate",
    "predict",
    "ablate",
    "compare",
    "tune",
    "conflicts",
    "report",
    "reproduce",
    "data",
]
NAMES = ("sentiment", "questions", "sentences")
ROWS = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "8-control"]


class Said:
    """What a command printed, and its exit status."""

    def __init__(self, *words: object, given: str | None = None) -> None:
        found = CliRunner(env={"COLUMNS": "80", "MINBERT_DATA": ""}).invoke(app, list(map(str, words)), input=given)
        self.status, self.output, self.errors = found.exit_code, found.stdout, found.stderr
        unforeseen = found.exception and not isinstance(found.exception, SystemExit)
        assert not unforeseen and "Traceback" not in self.errors, (found.exception, self.output, self.errors)

    @property
    def text(self) -> str:
        """The output with all white space as single spaces."""
        return " ".join(self.output.split())


def good(*words: object, given: str | None = None) -> Said:
    said = Said(*words, given=given)
    assert said.status == 0, (said.output, said.errors)
    return said


def refused(*words: object, given: str | None = None) -> str:
    """What a command says on standard error when it refuses."""
    said = Said(*words, given=given)
    assert said.status == 2 and said.errors.startswith("error: "), (said.status, said.output, said.errors)
    return said.errors


def setting(*sets: str) -> list[str]:
    return [word for item in sets for word in ("--set", item)]


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write_rows(path: Path, rows: list[dict[str, Any]], separator: str = ",") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        options: dict[str, Any] = {"quoting": csv.QUOTE_NONE, "quotechar": None} if separator == "\t" else {}
        writer = csv.DictWriter(file, list(rows[0]), delimiter=separator, **options)
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path) -> Iterator[Path]:
    """The working folder: three data files, the recipe that `init` wrote for them, and its finished run."""
    home = tmp_path_factory.mktemp("home")
    for name in NAMES:
        (home / "data").mkdir(exist_ok=True)
        shutil.copy(DEMO / f"{name}-train.csv", home / "data" / f"{name}.csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        good("init", *(f"data/{name}.csv" for name in NAMES), "-o", "mine.toml")
        (home / "mine.toml").write_text((home / "mine.toml").read_text() + settings(tiny_bert))
        (home / "said.txt").write_text(good("train", "mine.toml").output)
        yield home


@pytest.fixture(autouse=True)
def in_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)


def settings(encoder: Path) -> str:
    return f"""
[encoder]
source = '{encoder}'
max_tokens = 48
[stages.train]
epochs = 2
samples = 48
batch = 16
lr = 1e-3
mixture = "sequential"
"""


class TestInit:
    def test_it_writes_a_recipe_that_parses(self, tmp_path: Path) -> None:
        said = good("init", *(f"data/{name}.csv" for name in NAMES), "-o", tmp_path / "new.toml")
        recipe = load_recipe(tmp_path / "new.toml")
        assert {name: task.kind for name, task in recipe.tasks.items()} == {
            "sentiment": "classes",
            "questions": "yes_no",
            "sentences": "rating",
        }
        assert recipe.tasks["sentences"].bounds == (0, 5)
        assert recipe.tasks["questions"].text == ("question1", "question2")
        assert "questions: yes_no, text question1 + question2, label same" in said.output
        assert "the range [0, 5] was guessed from the data: check it" in said.output
        assert said.output.endswith(f"minbert train {tmp_path / 'new.toml'} --dry-run\n")

    def test_the_recipe_replaces_no_data(self, tmp_path: Path) -> None:
        file = Path(shutil.copy("data/sentiment.csv", tmp_path / "a.csv"))
        before = file.read_text()
        said = refused("init", file, "-o", tmp_path / "." / "a.csv", "--force")
        assert "expected another file for the recipe than the data" in said and file.read_text() == before

    def test_paths_are_relative_to_the_recipe(self, home: Path) -> None:
        (home / "recipes").mkdir()
        good("init", "data/sentiment.csv", home / "data" / "questions.csv", "-o", "recipes/two.toml")
        recipe = load_recipe("recipes/two.toml")
        assert [task.train for task in recipe.tasks.values()] == [
            ("../data/sentiment.csv",),
            ("../data/questions.csv",),
        ]

    def test_it_overwrites_only_when_told(self, tmp_path: Path) -> None:
        recipe = tmp_path / "mine.toml"
        recipe.write_text("precious")
        said = refused("init", "data/sentiment.csv", "-o", recipe)
        assert f"{recipe}: is there already; choose another -o, or --force" in said
        assert recipe.read_text() == "precious"
        good("init", "data/sentiment.csv", "-o", recipe, "--force")
        assert load_recipe(recipe).tasks

    def test_all_faults_come_at_once_and_nothing_is_written(self, tmp_path: Path) -> None:
        (tmp_path / "numbers.csv").write_text("a,b\n1,2\n3,4\n")
        (tmp_path / "empty.csv").write_text("")
        files = ("none.csv", "numbers.csv", "empty.csv")
        said = refused("init", *(tmp_path / name for name in files), "-o", tmp_path / "x.toml")
        assert all(f"{tmp_path / name}" in said for name in files) and not (tmp_path / "x.toml").exists()

    def test_files_of_one_name_become_tasks_of_two(self, tmp_path: Path) -> None:
        for folder in ("a", "b"):
            (tmp_path / folder).mkdir()
            shutil.copy("data/sentiment.csv", tmp_path / folder)
        good("init", tmp_path / "a/sentiment.csv", tmp_path / "b/sentiment.csv", "-o", tmp_path / "x.toml")
        assert list(load_recipe(tmp_path / "x.toml").tasks) == ["sentiment", "sentiment_2"]


class TestTrain:
    def test_a_dry_run_looks_and_writes_nothing(self, home: Path) -> None:
        before = sorted(home.rglob("*"))
        said = good("train", "mine.toml", "--dry-run", "--run", "elsewhere")
        assert sorted(home.rglob("*")) == before
        for word in ("sentiment", "questions", "sentences", "mean 2.42", "no 51%", "stage", "steps", "18"):
            assert word in said.text, (word, said.output)
        assert "stage 'train' has only 18 steps" in said.text
        flat = " ".join(said.text.split())
        assert re.search(r" on [^;]+, \d+ threads?; (float32|bfloat16); attention over length groups about ", flat)
        assert "floors and the final table apart" in flat

    def test_it_ends_with_tables_and_what_to_do_next(self, home: Path) -> None:
        said = good("evaluate", "runs/mine")
        assert (home / "said.txt").read_text().endswith(said.output)
        assert (home / "runs" / "mine" / "result.json").is_file()
        result = json.loads((home / "runs" / "mine" / "result.json").read_text())
        for name, task in result["tasks"].items():
            for number in (task["dev"][task["metric"]], *task["floors"].values()):
                assert name in said.text and f"{number:.3f}" in said.text
        for word in ("trivial", "frozen", "forgetting", "epochs took", "peak memory", "mean of dev: raw"):
            assert word in said.text
        assert "next: minbert predict runs/mine --task sentiment" in said.text

    def test_again_is_refused(self, home: Path) -> None:
        before = (home / "runs" / "mine" / "result.json").stat().st_mtime_ns
        assert "this run is finished; see it with `minbert evaluate runs/mine`" in refused("train", "mine.toml")
        assert "this run is finished" in refused("train", "mine.toml", "--resume")
        assert "holds a run of another recipe" in refused("train", "mine.toml", "--set", "stages.train.lr=3e-5")
        assert (home / "runs" / "mine" / "result.json").stat().st_mtime_ns == before

    def test_a_seed_has_a_folder_of_its_own(self, home: Path) -> None:
        sets = ("seed=3", "stages.train.epochs=1", "stages.train.samples=16", "stages.train.tasks=sentiment")
        good("train", "mine.toml", *setting(*sets))
        assert (home / "runs" / "mine-seed-3" / "result.json").is_file()

    def test_every_fault_of_a_recipe_is_told_with_its_line(self, tmp_path: Path) -> None:
        recipe = tmp_path / "bad.toml"
        recipe.write_text(
            "[tasks.topic]\nkind = 'clases'\ntext = 'body'\nlabel = 'category'\ntrain = 'x.csv'\n"
            "[stages.train]\nepochs = 0\nmerge = 'pcgard'\n"
        )
        said = refused("train", recipe)
        assert "tasks.topic: unknown kind 'clases'; did you mean 'classes'?" in said and said.count(f"{recipe}:") == 3
        assert f"{recipe}:7: stages.train.epochs: " in said
        assert f"{recipe}:8: stages.train.merge: unknown kind 'pcgard'; did you mean 'pcgrad'?" in said

    def test_every_missing_file_is_told(self, tmp_path: Path) -> None:
        shutil.copy("mine.toml", tmp_path)
        said = refused("train", tmp_path / "mine.toml", "--run", tmp_path / "run")
        assert all(f"data/{name}.csv: expected a file in {tmp_path}, found none" in said for name in NAMES)
        assert "--data" in said and not (tmp_path / "run").exists()

    def test_every_broken_row_is_told_with_file_and_line(self, tmp_path: Path) -> None:
        shutil.copytree("data", tmp_path / "data")
        shutil.copy("mine.toml", tmp_path)
        for name, bad in (("sentiment", ",3\n"), ("questions", "One?,Two?,perhaps\nOne?\n")):
            with (tmp_path / "data" / f"{name}.csv").open("a") as file:
                file.write(bad)
        lines = {name: len((tmp_path / "data" / f"{name}.csv").read_text().splitlines()) for name in NAMES}
        said = refused("train", tmp_path / "mine.toml", "--run", tmp_path / "run")
        assert f"sentiment.csv:{lines['sentiment']}: expected a text" in said
        assert f"questions.csv:{lines['questions']}: expected 3 " in said
        assert not (tmp_path / "run").exists()

    def test_an_unknown_recipe_has_a_neighbour(self) -> None:
        assert "did you mean 'quick'?" in refused("train", "quik")
        assert "expected path=value" in refused("train", "mine.toml", "--set", "nonsense")


class TestEvaluate:
    def test_json_is_the_result(self, home: Path) -> None:
        said = good("evaluate", "runs/mine", "--json")
        assert json.loads(said.output) == json.loads((home / "runs" / "mine" / "result.json").read_text())

    def test_new_classes_get_precision_recall_and_confusion(self) -> None:
        found = json.loads(
            good("evaluate", "runs/mine", "--task", "sentiment", "--input", DEMO / "sentiment-dev.csv", "--json").output
        )
        rows = rows_of(DEMO / "sentiment-dev.csv")
        answers = load("runs/mine").predict("sentiment", [row["sentence"] for row in rows]).labels
        for label, scores in found["classes"].items():
            right = sum(row["sentiment"] == answer == label for row, answer in zip(rows, answers, strict=True))
            truly = sum(row["sentiment"] == label for row in rows)
            assert scores["rows"] == truly and scores["recall"] == pytest.approx(right / truly)
            if answers.count(label):
                assert scores["precision"] == pytest.approx(right / answers.count(label))
        assert found["rows"] == len(rows) == sum(map(sum, found["confusion"]))
        diagonal = sum(found["confusion"][i][i] for i in range(5))
        assert found["metrics"]["accuracy"] == pytest.approx(diagonal / len(rows))
        assert sum(f["f1"] for f in found["classes"].values()) / 5 == pytest.approx(found["metrics"]["macro_f1"])

    def test_tables_say_the_same(self) -> None:
        said = good("evaluate", "runs/mine", "--task", "questions", "--input", DEMO / "questions-dev.csv")
        for word in ("questions: 91 rows", "accuracy", "precision", "recall", "F1", "confusion", "no", "yes"):
            assert word in said.text

    def test_a_rating_has_correlations_and_no_classes(self) -> None:
        words = ("evaluate", "runs/mine", "--task", "sentences", "--input", DEMO / "sentences-dev.csv")
        assert "--split test: expected none beside --input" in refused(*words, "--split", "test")
        assert set(json.loads(good(*words, "--json").output)["metrics"]) == {"pearson", "spearman"}
        assert "confusion" not in good(*words).text

    def test_every_bad_label_is_told_or_skipped(self, tmp_path: Path) -> None:
        rows = [{"sentence": f"Text {i}.", "sentiment": i % 5} for i in range(10)]
        for bad in (3, 7):
            rows[bad]["sentiment"] = "splendid"
        file = write_rows(tmp_path / "march.csv", rows)
        said = refused("evaluate", "runs/mine", "--task", "sentiment", "--input", file)
        assert f"{file}:5: " in said and f"{file}:9: " in said and "splendid" in said

    def test_broken_rows_can_be_left_out(self, tmp_path: Path) -> None:
        file = tmp_path / "march.csv"
        file.write_text("sentence,sentiment\nGood.,3\n,4\nSo so.,splendid\nBad.,1\n")
        words = ("evaluate", "runs/mine", "--task", "sentiment", "--input", file)
        said = refused(*words)
        assert f"{file}:3: " in said and f"{file}:4: " in said
        assert said.endswith("\n--skip-bad FILE.jsonl writes such rows there and goes on without\n")
        said_too = good(*words, "--json", "--skip-bad", tmp_path / "bad.jsonl")
        assert json.loads(said_too.output)["rows"] == 2
        assert said_too.errors == f"{file}: 2 bad rows left out, see {tmp_path / 'bad.jsonl'}\n"
        bad = [json.loads(row) for row in (tmp_path / "bad.jsonl").read_text().splitlines()]
        assert [row["line"] for row in bad] == [3, 4] and "splendid" in bad[1]["fault"]

    def test_what_is_asked_for_must_be_there(self, tmp_path: Path) -> None:
        assert "did you mean 'sentiment'?" in refused("evaluate", "runs/mine", "--task", "sentimnt", "--input", "x.csv")
        assert "expected one of sentiment, questions, sentences" in refused("evaluate", "runs/mine", "--input", "x.csv")
        assert "expected --input" in refused("evaluate", "runs/mine", "--task", "sentiment")
        assert "the recipe names no test files" in refused("evaluate", "runs/mine", "--split", "test")
        assert "expected test" in refused("evaluate", "runs/mine", "--split", "dev")
        assert "is this a run folder?" in refused("evaluate", tmp_path)
        assert "did you mean" in refused("evaluate", "runs/mine", "--task=sentiment", "--input", "data/sentimant.csv")

    def test_the_test_files_of_a_recipe_are_scored_when_asked(self, home: Path) -> None:
        sets = (f"tasks.sentiment.test={DEMO / 'sentiment-dev.csv'}", "stages.train.tasks=sentiment", "seed=9")
        sets = (*sets, "stages.train.epochs=1", "stages.train.samples=16")
        good("train", "mine.toml", "--run", "runs/tested", *setting(*sets))
        (found,) = json.loads(good("evaluate", "runs/tested", "--split", "test", "--json").output)
        assert found["task"] == "sentiment" and found["rows"] == 95


class TestPages:
    def test_a_page_replaces_nothing_else(self, tmp_path: Path) -> None:
        (tmp_path / "march.csv").write_text("mine")
        assert "expected a page to write, ending in .html, found .csv" in refused(
            "report", "runs/mine", "-o", tmp_path / "march.csv"
        )
        assert (tmp_path / "march.csv").read_text() == "mine"


class TestPredict:
    TEXTS = ("A good film.", 'The food was cold, and "late".', "It is what it is; naïve 🙂")

    def answers(self, task: str, texts: list[Any]) -> list[dict[str, Any]]:
        return load("runs/mine").predict(task, texts).rows()

    def test_csv_in_csv_out(self, tmp_path: Path) -> None:
        file = write_rows(tmp_path / "april.csv", [{"id": i, "sentence": text} for i, text in enumerate(self.TEXTS)])
        said = good("predict", "runs/mine", "--task=sentiment", "--input", file, "--output", tmp_path / "out.csv")
        assert said.output == "" and f"wrote 3 answers to {tmp_path / 'out.csv'}" in said.errors
        found = rows_of(tmp_path / "out.csv")
        expected = self.answers("sentiment", list(self.TEXTS))
        assert [row["sentence"] for row in found] == list(self.TEXTS)
        assert [(row["label"], float(row["probability"])) for row in found] == [
            (row["label"], row["probability"]) for row in expected
        ]

    def test_jsonl_in_jsonl_out(self, tmp_path: Path) -> None:
        pairs = [(text, self.TEXTS[0]) for text in self.TEXTS]
        lines = [json.dumps({"sentence1": a, "sentence2": b}) for a, b in pairs]
        (tmp_path / "in.jsonl").write_text("\n".join(lines))
        words = ("--task", "sentences", "--input", tmp_path / "in.jsonl", "--output", tmp_path / "out.jsonl")
        good("predict", "runs/mine", *words)
        found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
        expected = self.answers("sentences", pairs)
        assert found == [{"sentence1": a, "sentence2": b, **row} for (a, b), row in zip(pairs, expected, strict=True)]
        assert all(0 <= row["score"] <= 5 for row in found)

    def test_lines_in_lines_out(self) -> None:
        said = good("predict", "runs/mine", "--task", "sentiment", given="\n".join(self.TEXTS) + "\n")
        expected = self.answers("sentiment", list(self.TEXTS))
        assert said.output == "".join(f"{row['label']}\t{row['probability']}\n" for row in expected)

    def test_pairs_have_a_tab_between(self) -> None:
        said = good("predict", "runs/mine", "--task", "questions", given="How?\tWhat?\r\nWho?\tWho?\n")
        expected = self.answers("questions", [("How?", "What?"), ("Who?", "Who?")])
        assert [line.split("\t")[0] for line in said.output.splitlines()] == [row["label"] for row in expected]

    def test_nothing_in_nothing_out(self) -> None:
        assert good("predict", "runs/mine", "--task", "sentiment", given="").output == ""

    @pytest.mark.parametrize("line", ["How?", "How?\tWhat?\tWho?", "How?\t ", ""])
    def test_a_line_that_is_no_pair_is_named(self, line: str) -> None:
        said = refused("predict", "runs/mine", "--task", "questions", given=f"How?\tWhat?\n{line}\n")
        assert "standard input:2: expected two texts with a tab between" in said

    def test_a_bad_row_leaves_no_half_written_file(self, tmp_path: Path) -> None:
        good_row, bad_row = "A good film.\n", '"unbalanced\n'
        (tmp_path / "in.csv").write_text("sentence\n" + good_row * 9000 + bad_row)
        (tmp_path / "out.csv").write_text("older answers")
        before = sorted(tmp_path.iterdir())
        words = ("predict", "runs/mine", "--task", "sentiment", "--input", tmp_path / "in.csv", "--output")
        assert f"{tmp_path / 'in.csv'}:9002: " in refused(*words, tmp_path / "out.csv")
        with (tmp_path / "in.csv").open("a") as file:
            file.write('"balanced again"\n""\n')
        assert "in.csv:9002: " in (said := refused(*words, tmp_path / "out.csv")) and "in.csv:9004: " in said
        assert (tmp_path / "out.csv").read_text() == "older answers" and sorted(tmp_path.iterdir()) == before
        refused(*words, tmp_path / "new.csv")
        assert sorted(tmp_path.iterdir()) == before

    def test_bad_rows_can_be_left_out(self, tmp_path: Path) -> None:
        (tmp_path / "in.csv").write_text("sentence,x\nGood.,1\n,2\nBad.,3\nToo,many,cells\n")
        words = ("--input", tmp_path / "in.csv", "--output", tmp_path / "out.csv", "--skip-bad", tmp_path / "bad.jsonl")
        good("predict", "runs/mine", "--task", "sentiment", *words)
        assert [row["sentence"] for row in rows_of(tmp_path / "out.csv")] == ["Good.", "Bad."]
        bad = [json.loads(line) for line in (tmp_path / "bad.jsonl").read_text().splitlines()]
        assert [row["line"] for row in bad] == [3, 5]

    def test_bad_lines_can_be_left_out_too(self, tmp_path: Path) -> None:
        words = ("predict", "runs/mine", "--task=sentiment", "--skip-bad", tmp_path / "bad.jsonl")
        said = good(*words, given="Good.\n\nBad.\n")
        assert (
            len(said.output.splitlines()) == 2 and f"standard input: 1 bad row left out, see {tmp_path}" in said.errors
        )
        assert [json.loads(row)["line"] for row in (tmp_path / "bad.jsonl").read_text().splitlines()] == [2]

    def test_other_columns_and_every_class(self, tmp_path: Path) -> None:
        (tmp_path / "in.csv").write_text("label,sentence,id\n3,A good film.,a7\n")
        words = ("predict", "runs/mine", "--task=sentiment", "--input", tmp_path / "in.csv", "--all")
        good(*words, "--keep=id", "--keep", "label", "--output", tmp_path / "out.csv")
        (row,) = rows_of(tmp_path / "out.csv")
        assert list(row)[:5] == ["id", "label", "sentence", "predicted_label", "probability"]
        assert (row["id"], row["label"]) == ("a7", "3") and "probability_3" in row
        assert "expected a column 'idd', found none; did you mean 'id'?" in refused(*words, "--keep", "idd")
        assert "--keep id: expected --input" in refused("predict", "runs/mine", "--keep", "id", given="x")

    def test_a_file_of_another_kind_is_not_written(self, tmp_path: Path) -> None:
        words = ("predict", "runs/mine", "--task=sentiment", "--output", tmp_path / "out.xlsx")
        assert "expected a file to write ending in .csv, .tsv, .jsonl, .ndjson, found .xlsx" in refused(
            *words, given="x"
        )

    def test_what_is_asked_for_must_be_there(self, tmp_path: Path) -> None:
        assert "did you mean 'questions'?" in refused("predict", "runs/mine", "--task", "question", given="x")
        assert "--task: expected one of" in refused("predict", "runs/mine", given="x")
        assert "expected a run, found no such folder" in refused("predict", tmp_path / "none", given="x")
        said = refused("predict", tmp_path, given="x")
        assert "expected a run or a checkpoint, found neither; name the folder of a run" in said
        assert "found neither; did you mean runs/mine?" in refused("predict", "runs", given="x")
        (tmp_path / "recipe.toml").touch()
        said = refused("predict", tmp_path, given="x")
        assert "expected a checkpoint, found none yet; finish the run with" in said
        assert "sentence" in refused("predict", "runs/mine", "--task=sentiment", "--input", "data/questions.csv")

    def test_answers_do_not_replace_what_they_answer(self, tmp_path: Path) -> None:
        file = tmp_path / "in.csv"
        file.write_text("sentence\nFine.\n")
        words = ("predict", "runs/mine", "--task=sentiment", "--input", file, "--output")
        assert "expected another file for --output than for --input" in refused(*words, tmp_path / "." / "in.csv")
        bad = ("--skip-bad", tmp_path / "x.csv")
        assert "expected another file for --output than for --skip-bad" in refused(*words, tmp_path / "x.csv", *bad)
        assert file.read_text() == "sentence\nFine.\n" and not (tmp_path / "x.csv").exists()

    def test_a_folder_that_cannot_be_written_is_a_storage_error(self, home: Path) -> None:
        said = Said("predict", "runs/mine", "--task=sentiment", "--output", home / "mine.toml" / "x.csv", given="x")
        assert said.status == 1 and said.errors.startswith("error: ") and "could not be written" in said.errors


@pytest.fixture(scope="module")
def report_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's rows under the names that the report's data have."""
    folder = tmp_path_factory.mktemp("report")
    for split in ("train", "dev"):
        rows = {name: rows_of(DEMO / f"{name}-{split}.csv") for name in NAMES}
        questions = [
            {
                "sentence1": row["question1"],
                "sentence2": row["question2"],
                "is_duplicate": int(row["same"] == "yes"),
            }
            for row in rows["questions"]
        ]
        for name, found in {"sst": rows["sentiment"], "quora": questions, "sts": rows["sentences"]}.items():
            write_rows(folder / name / f"{split}.tsv", [{"id": i, **row} for i, row in enumerate(found)], "\t")
    return folder


@pytest.fixture(scope="module")
def wide(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small encoder that takes as many tokens as the report's recipes ask for."""
    folder = tmp_path_factory.mktemp("wide")
    bert = Bert(TINY.model_copy(update={"max_position_embeddings": 256}))
    fresh(bert, 0.2, torch.Generator().manual_seed(0))
    save_folder(folder, bert, load_tokenizer(tiny_bert / "tokenizer.json", 256), bert.config, "mean")
    return folder


class TestReproduce:
    def test_it_runs_every_row_beside_the_report(
        self, report_data: Path, wide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        sizes = ("--rows", "0-8", "--epochs", 1, "--limit", 20)
        words = ("reproduce", *sizes, "--encoder", wide, "--data", report_data)
        first = good(*words)
        assert all(f"row {row}: runs/reproduce/" in first.text for row in ROWS)
        (folder,) = (tmp_path / "runs" / "reproduce").iterdir()
        results = {row: json.loads((folder / f"row-{row}" / "result.json").read_text()) for row in ROWS}
        for row in ROWS[1:]:
            assert f"{results[row]['raw']:.3f}" in first.text
        for row, figures in EXPECTED.items():
            assert all(f"{figure:.3f}" in first.text for figure in figures), (row, first.output)
        assert "floors on dev" in first.text and "note:" not in first.output
        written = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
        second = good(*words)
        assert "runs/reproduce" not in second.output and second.text in first.text
        assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()} == written
        two = good(*words, "--rows", "0,3", "--lr", "1e-5", "--lr", "1e-3")
        assert "raw mean on dev" in two.text and "lr 1e-05" in two.text and "lr 0.001" in two.text

    @pytest.mark.parametrize("rows", ["9", "3-1", "a", "", "1,,2"])
    def test_a_row_that_is_none_is_refused(self, rows: str) -> None:
        assert "expected numbers from 0 to 8 such as 0-3,8" in refused("reproduce", "--rows", rows)


class TestHelp:
    @pytest.mark.parametrize("command", COMMANDS)
    def test_each_command_has_an_example(self, command: str) -> None:
        said = good(command, "--help")
        assert f"Example: minbert {command}" in said.text and "Usage:" in said.output

    def test_every_command_is_tested_here(self) -> None:
        assert list(typer.main.get_command(app).commands) == COMMANDS  # type: ignore[attr-defined]

    def test_the_version_is_told(self) -> None:
        assert good("--version").output == f"minbert {minbert.__version__}\n"

    @pytest.mark.parametrize("words", ["--help", "train --help", "--version"])
    def test_help_is_quick_because_nothing_heavy_is_imported(self, words: str) -> None:
        code = (
            "import sys, time; from minbert.cli.main import app\n"
            "app(sys.argv[1:], standalone_mode=False)\n"
            "heavy = {'torch', 'numpy', 'scipy', 'sklearn', 'tokenizers', 'safetensors'}\n"
            "print(sorted(heavy & set(sys.modules)), time.process_time(), file=sys.stderr)"
        )
        child = subprocess.run([sys.executable, "-c", code, *words.split()], capture_output=True, text=True)
        heavy, seconds = child.stderr.rsplit(maxsplit=1)
        assert child.returncode == 0 and heavy == "[]" and float(seconds) < 2

    def test_the_module_is_the_command(self) -> None:
        child = subprocess.run([sys.executable, "-m", "minbert", "--help"], capture_output=True, text=True)
        assert child.returncode == 0 and "Usage: minbert " in child.stdout

    def test_a_word_that_is_no_command_is_refused(self) -> None:
        assert Said("tarin").status == 2 and "No such command" in Said("tarin").errors


class TestErrors:
    @pytest.mark.parametrize(
        ("fault", "status", "said"),
        [
            (DataError(["a.csv:1: x", "b.csv:2: y"]), 2, "error: a.csv:1: x\nb.csv:2: y\n"),
            (StorageError("disk full"), 1, "error: disk full\n"),
            (Interrupted("stopped; go on with --resume"), 130, "minbert: stopped; go on with --resume\n"),
            (KeyboardInterrupt(), 130, "minbert: stopped\n"),
        ],
    )
    def test_each_has_its_status_and_no_traceback(
        self, fault: BaseException, status: int, said: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        @told
        def command() -> None:
            raise fault

        with pytest.raises(typer.Exit) as caught:
            command()
        assert (caught.value.exit_code, capsys.readouterr().err) == (status, said)

    def test_an_output_that_cannot_say_it_is_told(self) -> None:
        code = (
            "import typer; from minbert.cli.errors import told\n"
            "@told\ndef cry() -> None:\n    print('wei\\u00df')\n"
            "typer.run(cry)"
        )
        env = {**os.environ, "PYTHONIOENCODING": "ascii"}
        said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
        assert said.returncode == 1 and said.stderr == (
            "error: standard output: expected to write UTF-8, found ascii, which has no '\\xdf'; set PYTHONUTF8=1, or "
            "write to a file\n"
        )

    def test_a_reader_that_goes_away_is_no_error(self) -> None:
        code = (
            "import typer; from minbert.cli.errors import told\n"
            "@told\ndef lines() -> None:\n    for number in range(10**6): print(number)\n"
            "typer.run(lines)"
        )
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
            assert child.stdout and child.stderr and child.stdout.readline() == b"0\n"
            child.stdout.close()
            assert child.stderr.read() == b""
        assert child.returncode == 1


class TestLazyNames:
    def test_every_public_name_is_there(self) -> None:
        assert sorted(minbert.__all__) == minbert.__all__ and set(minbert.__all__) == set(minbert._HOMES)
        for name in minbert.__all__:
            assert getattr(minbert, name).__name__ == name
        assert {*minbert.__all__, "__version__"} == set(dir(minbert))

    def test_type_checkers_see_the_same_names(self) -> None:
        source = Path(minbert.__file__).read_text()
        for name, home in minbert._HOMES.items():
            assert f"    from {home} import {name} as {name}\n" in source

    def test_another_name_is_an_attribute_error(self) -> None:
        with pytest.raises(AttributeError, match="module 'minbert' has no attribute 'trian'"):
            minbert.trian  # noqa: B018

    def test_importing_it_does_not_import_torch(self) -> None:
        code = "import minbert, sys; assert 'torch' not in sys.modules; from minbert import *; assert load and AdamW"
        assert subprocess.run([sys.executable, "-c", code], env={**os.environ, "OMP_NUM_THREADS": "1"}).returncode == 0
