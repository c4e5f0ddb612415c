"""Bulk prediction: whole or not at all, row by row, in bounded memory."""

import csv
import itertools
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from minbert.errors import DataError
from minbert.inference import Predictor, bulk, load_encoder
from minbert.inference.bulk import answers, from_file, from_lines, write_answers
from minbert.model import MultiTaskModel
from minbert.tasks import Classes, Rating, Task, YesNo
from minbert.text.example import Example
from minbert.text.lines import Fault
from minbert.text.readers import JsonLines, Separated

FILES: dict[str, Any] = {"label": "y", "train": "x.csv"}
TASKS: dict[str, Task] = {
    "topic": Classes(text=("body",), labels=("art", "sport", "no, thanks"), **FILES),
    "same": YesNo(text=("one", "two"), **FILES),
    "near": Rating(text=("one", "two"), range=(1.0, 5.0), **FILES),
}


@pytest.fixture(scope="module")
def model(tiny_bert: Path) -> Predictor:
    encoder = load_encoder(tiny_bert, device="cpu")
    return Predictor(MultiTaskModel(encoder.encoder, encoder.tokenizer, TASKS), "float32")


def texts(rows: Iterable[Example | Fault]) -> list[tuple[str, ...]]:
    """The texts of rows that are all good."""
    return [row.texts for row in rows if isinstance(row, Example) or pytest.fail(str(row))]


def example(*row: str) -> Example:
    return Example(row, None, 1)


class TestLines:
    def test_one_text_a_line(self) -> None:
        lines = [b"a tab\tis kept\n", b" and spaces \r\n", "the last, é".encode()]
        found = [("a tab\tis kept",), (" and spaces ",), ("the last, é",)]
        assert texts(from_lines(lines, TASKS["topic"])) == found

    def test_two_texts_with_a_tab_between(self) -> None:
        assert texts(from_lines([b"a\tb\n", b"c\td"], TASKS["same"])) == [("a", "b"), ("c", "d")]

    @pytest.mark.parametrize(
        ("task", "line", "wanted"),
        [
            ("topic", "\n", "a text"),
            ("topic", " \t \n", "a text"),
            ("same", "a\n", "two texts with a tab between"),
            ("same", "a\t\n", "two texts with a tab between"),
            ("near", "a\tb\tc\n", "two texts with a tab between"),
        ],
    )
    def test_a_bad_line_is_named_when_it_comes(self, task: str, line: str, wanted: str) -> None:
        good, bad = from_lines([b"a\tb\n", line.encode()], TASKS[task])
        assert isinstance(good, Example)
        assert str(bad).startswith(f"standard input:2: expected {wanted}, found ")

    def test_a_byte_order_mark_is_no_text(self) -> None:
        lines = [b"\xef\xbb\xbfcaf\xc3\xa9\n", b"tea\n"]
        assert texts(from_lines(lines, TASKS["topic"])) == [("café",), ("tea",)]

    def test_a_line_in_another_encoding_is_named(self) -> None:
        good, bad = from_lines([b"caf\xc3\xa9\n", b"caf\xe9\n"], TASKS["topic"])
        assert isinstance(good, Example) and isinstance(bad, Fault)
        assert str(bad).startswith("standard input:2: expected utf-8, found the byte 0xe9") and bad.raw == r"caf\xe9"


class TestTexts:
    def test_one_text_is_no_list_of_texts(self, model: Predictor) -> None:
        with pytest.raises(DataError, match="expected a list of texts, found one text, 'x y'; put it in a list"):
            model.predict("topic", "x y")


class TestFormat:
    """Of a run whose own files have semicolons."""

    TASK = Classes(text=("body",), labels=("art", "sport"), format=Separated(separator=";"), **FILES)

    def test_the_runs_own_comes_first(self, tmp_path: Path) -> None:
        path = tmp_path / "new.csv"
        path.write_text("day;body\n1;one, two\n")
        assert texts(from_file(path, self.TASK)()) == [("one, two",)]

    @pytest.mark.parametrize(
        ("name", "text"), [("a.csv", "day,body\n1,x\n"), ("a.tsv", "day\tbody\n1\tx\n"), ("a.jsonl", '{"body": "x"}\n')]
    )
    def test_where_it_does_not_fit_the_name_says(self, tmp_path: Path, name: str, text: str) -> None:
        (tmp_path / name).write_text(text)
        assert texts(from_file(tmp_path / name, self.TASK)()) == [("x",)]

    def test_a_run_of_json_lines_reads_a_table(self, tmp_path: Path) -> None:
        (tmp_path / "new.csv").write_text("body\nx\n")
        task = Classes(text=("body",), labels=("art", "sport"), format=JsonLines(), **FILES)
        assert texts(from_file(tmp_path / "new.csv", task)()) == [("x",)]

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("a.csv", "day|body\n1|caf\u00e9\n2|tea\n".encode("cp1252")),
            ("a.txt", "day\tbody\n1\tcaf\u00e9\n2\ttea\n".encode("utf-16")),
        ],
    )
    def test_where_neither_fits_it_is_guessed_and_said(self, tmp_path: Path, name: str, text: bytes) -> None:
        (tmp_path / name).write_bytes(text)
        said: list[str] = []
        assert texts(from_file(tmp_path / name, self.TASK, say=said.append)()) == [("café",), ("tea",)]
        assert said[0].startswith(f"{tmp_path / name}: read as {{ kind = ") and len(said) == 1

    def test_a_first_row_that_is_broken_is_told_in_the_runs_own(self, tmp_path: Path) -> None:
        (tmp_path / "new.csv").write_text("day;body\n1\n2;x\n")
        first, _ = from_file(tmp_path / "new.csv", self.TASK)()
        assert str(first).endswith("new.csv:2: expected 2 columns, found 1; repair the row or skip it")


class TestFile:
    def test_the_label_need_not_be_there(self, tmp_path: Path) -> None:
        (tmp_path / "x.csv").write_text('id,two,one\n1,"b, c",a\n')
        assert texts(from_file(tmp_path / "x.csv", TASKS["near"])()) == [("a", "b, c")]

    def test_the_suffix_says_how_it_is_written_and_else_the_task(self, tmp_path: Path) -> None:
        task = TASKS["topic"].model_copy(update={"format": Separated(separator=";")})
        (tmp_path / "x.txt").write_text("body;x\na;1\n")
        (tmp_path / "x.tsv").write_text("x\tbody\n1\ta\n")
        (tmp_path / "x.jsonl").write_text('{"body": "a"}\n')
        for name in ("x.txt", "x.tsv", "x.jsonl"):
            assert texts(from_file(tmp_path / name, task)()) == [("a",)]


class TestAnswers:
    def test_they_come_chunk_by_chunk_in_order(self, model: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(bulk, "CHUNK", 4)
        taken: list[int] = []

        def rows() -> Iterator[Example]:
            for number in range(10):
                taken.append(number)
                yield example(f"text {'x' * (9 - number)} {number}")

        found = answers(model, "topic", rows())
        first = next(found)
        assert len(taken) == 4 and set(first) == {"body", "label", "probability"}
        answered = [first["body"], *(answer["body"] for answer in found)]
        assert answered == [row.texts[0] for row in rows()]

    def test_chunks_do_not_change_them(self, model: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
        rows = [example(f"a {'good ' * (n % 5)}", f"film {n}") for n in range(20)]
        whole = list(answers(model, "near", rows))
        monkeypatch.setattr(bulk, "CHUNK", 3)
        for one, two in zip(whole, answers(model, "near", rows), strict=True):
            assert one["score"] == pytest.approx(two["score"], abs=2e-4) and 1 <= one["score"] <= 5

    def test_an_endless_pipe_is_answered_as_it_comes(self, model: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(bulk, "CHUNK", 2)
        endless = answers(model, "topic", (example("more") for _ in itertools.count()))
        assert len(list(itertools.islice(endless, 5))) == 5

    def test_kept_cells_and_every_class(self, model: Predictor) -> None:
        rows = [Example(("a film",), None, 2, ("7", "art"))]
        (found,) = answers(model, "topic", rows, ["id", "label"], every=True)
        given = {"id": "7", "label": "art", "body": "a film"}
        assert {key: found[key] for key in given} == given
        shares = [found[f"probability_{name}"] for name in ("art", "sport", "no, thanks")]
        assert sum(shares) == pytest.approx(1, abs=2e-4) and max(shares) == found["probability"]
        assert found["predicted_label"] == ("art", "sport", "no, thanks")[shares.index(max(shares))]

    def test_a_text_column_of_an_answers_name_stands(self, model: Predictor) -> None:
        named = Predictor(model.model)
        named.model.tasks["topic"] = TASKS["topic"].model_copy(update={"text": ("label",)})
        (found,) = answers(named, "topic", [example("a film")])
        named.model.tasks["topic"] = TASKS["topic"]
        assert found["label"] == "a film" and found["predicted_label"] in ("art", "sport", "no, thanks")

    def test_no_name_is_taken_twice(self, model: Predictor) -> None:
        rows = [Example(("a film",), None, 2, ("art", "sport"))]
        (found,) = answers(model, "topic", rows, ["label", "predicted_label"])
        assert (found["label"], found["predicted_label"]) == ("art", "sport")
        assert found["predicted_predicted_label"] in ("art", "sport", "no, thanks")


class TestWriting:
    FOUND = (
        {"body": 'a "b",\nc', "label": "no, thanks", "probability": 0.5},
        {"body": "é", "label": "art", "probability": 1.0},
    )

    def test_csv(self, tmp_path: Path) -> None:
        assert write_answers(self.FOUND, TASKS["topic"], tmp_path / "new" / "x.csv", sys.stdout) == 2
        with (tmp_path / "new" / "x.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert rows == [{key: str(value) for key, value in found.items()} for found in self.FOUND]

    def test_jsonl(self, tmp_path: Path) -> None:
        write_answers(self.FOUND, TASKS["topic"], tmp_path / "x.jsonl", sys.stdout)
        lines = (tmp_path / "x.jsonl").read_text(encoding="utf-8").splitlines()
        assert [json.loads(line) for line in lines] == list(self.FOUND) and "é" in lines[1]

    @pytest.mark.parametrize("name", ["x.csv", "x.tsv"])
    def test_values_of_json_are_json_in_a_table(self, tmp_path: Path, name: str) -> None:
        found = [{"id": {"a": [1, "é"]}, "ok": True, "gone": None, "label": "art"}]
        write_answers(found, TASKS["topic"], tmp_path / name, sys.stdout)
        with (tmp_path / name).open(encoding="utf-8", newline="") as file:
            kept = csv.QUOTE_NONE if name == "x.tsv" else csv.QUOTE_MINIMAL
            (row,) = csv.DictReader(file, delimiter="\t" if name == "x.tsv" else ",", quoting=kept)
        assert row == {"id": '{"a": [1, "é"]}', "ok": "true", "gone": "", "label": "art"}

    def test_tsv_reads_back(self, tmp_path: Path) -> None:
        found = [{"body": 'a "b", c', "label": "no, thanks"}, {"body": '"é"', "label": "art"}]
        write_answers(found, TASKS["topic"], tmp_path / "x.tsv", sys.stdout)
        assert texts(from_file(tmp_path / "x.tsv", TASKS["topic"])()) == [('a "b", c',), ('"é"',)]

    @pytest.mark.parametrize("cell", ["a\tb", "a\nb"])
    def test_what_tabs_cannot_hold_is_refused(self, tmp_path: Path, cell: str) -> None:
        found = [{"id": "1", "body": "x", "label": "art"}, {"id": cell, "body": "x", "label": "art"}]
        with pytest.raises(DataError, match=r"x\.tsv: expected cells without tabs and line breaks, found 'a"):
            write_answers(found, TASKS["topic"], tmp_path / "x.tsv", sys.stdout)
        assert not (tmp_path / "x.tsv").exists()
        with pytest.raises(DataError, match="standard output: expected cells without tabs"):
            write_answers(found, TASKS["topic"], None, sys.stdout)

    def test_a_pipe_gets_answers_only(self, tmp_path: Path) -> None:
        with (tmp_path / "pipe").open("w") as pipe:
            assert write_answers(self.FOUND, TASKS["topic"], None, pipe) == 2
            assert (tmp_path / "pipe").read_text() == "no, thanks\t0.5\nart\t1.0\n"

    @pytest.mark.parametrize("name", ["x.csv", "x.jsonl"])
    def test_where_a_later_row_fails_the_old_file_stands(self, tmp_path: Path, name: str) -> None:
        def failing() -> Iterator[dict[str, Any]]:
            yield self.FOUND[0]
            raise DataError("x.csv:3: bad")

        (tmp_path / name).write_text("old")
        with pytest.raises(DataError):
            write_answers(failing(), TASKS["topic"], tmp_path / name, sys.stdout)
        assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, "old")]

    def test_no_answers_make_an_empty_file(self, tmp_path: Path) -> None:
        assert write_answers([], TASKS["topic"], tmp_path / "x.csv", sys.stdout) == 0
        assert (tmp_path / "x.csv").read_bytes() == b""
