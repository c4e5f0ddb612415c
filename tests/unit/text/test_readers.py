import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from minbert.errors import DataError
from minbert.text.example import Example
from minbert.text.readers import AnyFormat, Format, JsonLines, Separated, examples, format_of, header, read, sifted

Write = Callable[[str, str | bytes], Path]
TABBED = Separated(separator="\t")


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a file into the working folder; gives its relative path, so that messages can be told in full."""
    monkeypatch.chdir(tmp_path)

    def written(name: str, content: str | bytes) -> Path:
        Path(name).write_bytes(content.encode() if isinstance(content, str) else content)
        return Path(name)

    return written


def faults(path: Path, format: Format | None = None, columns: tuple[str, ...] = ("a",), label: str | None = "y"):
    with pytest.raises(DataError) as caught:
        read(path, columns, label, format)
    return list(caught.value.faults)


class TestGoodFiles:
    def test_csv_with_quotes_and_line_breaks(self, write: Write) -> None:
        path = write("t.csv", 'a,b,y\n"one, ""1""",two,0\n"line\nbreak",three, 1 \n')
        assert read(path, ("a", "b"), "y") == [
            Example(('one, "1"', "two"), "0", 2),
            Example(("line\nbreak", "three"), "1", 3),
        ]

    def test_line_numbers_count_lines_not_rows(self, write: Write) -> None:
        path = write("t.csv", 'a,y\n"1\n2\n3",0\nx,1\n')
        assert [example.line for example in read(path, ("a",), "y")] == [2, 5]

    def test_a_quote_in_tsv_is_a_character(self, write: Write) -> None:
        path = write("t.tsv", 'a\ty\n"open\t1\n')
        assert read(path, ("a",), "y") == [Example(('"open',), "1", 2)]

    def test_no_label_asked_for(self, write: Write) -> None:
        assert read(write("t.csv", "a,y\nx,\n"), ("a",), None) == [Example(("x",), None, 2)]

    def test_texts_keep_their_spaces_labels_do_not(self, write: Write) -> None:
        assert read(write("t.csv", "a,y\n  x ,  1 \n"), ("a",), "y") == [Example(("  x ",), "1", 2)]

    def test_unnamed_index_column(self, write: Write) -> None:
        assert read(write("t.csv", ",a,y\n0,x,1\n"), ("a",), "y") == [Example(("x",), "1", 2)]

    @pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
    @pytest.mark.parametrize("end", [b"\n", b"\r\n"])
    @pytest.mark.parametrize("last", [b"", b"\n", b"\r\n\r\n\n"])
    @pytest.mark.parametrize("suffix", ["csv", "tsv"])
    def test_mark_line_ends_and_empty_lines_at_the_end(
        self, write: Write, start: bytes, end: bytes, last: bytes, suffix: str
    ) -> None:
        mark = b"," if suffix == "csv" else b"\t"
        path = write(f"t.{suffix}", start + end.join([mark.join(pair) for pair in [(b"a", b"y"), (b"x", b"1")]]) + last)
        assert header(path) == ["a", "y"]
        assert read(path, ("a",), "y") == [Example(("x",), "1", 2)]

    @pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "cp1252", "latin-1", "utf-8-sig"])
    def test_other_encodings(self, write: Write, encoding: str) -> None:
        path = write("t.csv", "a,y\nčaj\nû,1\n".replace("č", "ç").replace("\nû", "û").encode(encoding))
        assert read(path, ("a",), "y", Separated(encoding=encoding)) == [Example(("çajû",), "1", 2)]

    def test_jsonl(self, write: Write) -> None:
        rows = '{"a": "x", "y": true}\n{"y": 1.0, "a": 7}\n{"a": "\\ud83d\\ude00", "y": "n"}\n\n'
        path = write("t.jsonl", rows)
        assert header(path) == ["a", "y"]
        assert [(e.texts[0], e.label) for e in read(path, ("a",), "y")] == [("x", "true"), ("7", "1.0"), ("😀", "n")]

    def test_a_low_limit_of_the_csv_module_is_raised(self, write: Write) -> None:
        before = csv.field_size_limit(100)
        try:
            long = "x" * 200_000
            assert read(write("t.csv", f"a,y\n{long},1\n"), ("a",), "y")[0].texts == (long,)
        finally:
            csv.field_size_limit(before)

    def test_rows_come_one_by_one(self, write: Write) -> None:
        path = write("t.csv", "a,y\nx,1\nbroken\n")
        rows = sifted(examples(path, ("a",), "y"), path)
        assert next(rows) == Example(("x",), "1", 2)
        with pytest.raises(DataError, match=r"^t\.csv:3: expected 2 columns, found 1; repair the row or skip it$"):
            next(rows)


class TestKeep:
    def test_other_cells_go_along_as_they_stand(self, write: Write) -> None:
        rows = list(examples(write("t.csv", "id,a,y,b\n 7 ,x,1,\n"), ("a",), "y", keep=("b", "id")))
        assert rows == [Example(("x",), "1", 2, ("", " 7 "))]

    def test_values_of_json_lines_stay_what_they_are(self, write: Write) -> None:
        path = write("t.jsonl", '{"a": "x", "id": 12, "tags": ["u", null]}\n{"a": "y", "id": 0.5}\n')
        rows = list(examples(path, ("a",), None, keep=("id", "tags")))
        assert rows == [Example(("x",), None, 1, (12, ["u", None])), Example(("y",), None, 2, (0.5, None))]

    def test_a_column_that_is_not_there(self, write: Write) -> None:
        with pytest.raises(DataError, match=r"^t\.csv:1: expected a column 'key', found none"):
            list(examples(write("t.csv", "id,a\n7,x\n"), ("a",), None, keep=("key",)))


class TestSkipBad:
    def test_rejects(self, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
        path = write("t.csv", b"a,y\nx,1\nshort\ny\xe9,0\nz,0\n")
        kept = read(path, ("a",), "y", skip_bad=Path("out/bad.jsonl"))
        assert kept == [Example(("x",), "1", 2), Example(("z",), "0", 5)]
        rows = [json.loads(line) for line in Path("out/bad.jsonl").read_text("utf-8").splitlines()]
        assert rows[0] == {
            "file": "t.csv",
            "line": 3,
            "fault": "expected 2 columns, found 1; repair the row or skip it",
            "row": "short",
        }
        assert (rows[1]["line"], rows[1]["row"]) == (4, r"y\xe9,0")
        assert [file.name for file in Path("out").iterdir()] == ["bad.jsonl"]
        assert capsys.readouterr() == ("", "")

    def test_a_broken_row_of_several_lines_is_one_reject(self, write: Write) -> None:
        path = write("t.csv", 'a,b,y\n"some\ntext",1\nx,z,1\n')
        assert read(path, ("a", "b"), "y", skip_bad=Path("bad.jsonl")) == [Example(("x", "z"), "1", 4)]
        assert json.loads(Path("bad.jsonl").read_text())["row"] == '"some\ntext",1'

    def test_no_file_without_rejects(self, write: Write) -> None:
        read(write("t.csv", "a,y\nx,1\n"), ("a",), "y", skip_bad=Path("bad.jsonl"))
        assert [file.name for file in Path().iterdir()] == ["t.csv"]

    def test_nothing_half_written(self, write: Write) -> None:
        Path("bad.jsonl").write_text("old")
        path = write("t.csv", "a,y\nshort\nx,1\ny,1\n")
        rows = sifted(examples(path, ("a",), "y"), path, Path("bad.jsonl"))
        next(rows)
        rows.close()  # type: ignore[attr-defined]
        assert Path("bad.jsonl").read_text() == "old"
        assert sorted(file.name for file in Path().iterdir()) == ["bad.jsonl", "t.csv"]

    def test_only_bad_rows(self, write: Write) -> None:
        path = write("t.csv", "a,y\nshort\n")
        with pytest.raises(DataError, match=r"^t\.csv: expected at least one good row, .*; see bad\.jsonl$"):
            read(path, ("a",), "y", skip_bad=Path("bad.jsonl"))
        assert Path("bad.jsonl").exists()

    def test_a_fault_of_the_whole_file_is_not_skipped(self, write: Write) -> None:
        with pytest.raises(DataError, match="expected a column 'z'"):
            read(write("t.csv", "a,y\nx,1\n"), ("z",), "y", skip_bad=Path("bad.jsonl"))

    def test_the_data_are_not_overwritten(self, write: Write) -> None:
        path = write("t.csv", "a,y\nshort\nx,1\n")
        with pytest.raises(DataError, match="expected another file for the bad rows"):
            read(path, ("a",), "y", skip_bad=path.resolve())


class TestFormat:
    def test_by_suffix(self) -> None:
        assert format_of(Path("a.CSV")) == Separated()
        assert format_of(Path("a.tsv")) == Separated(separator="\t", quoted=False)
        assert format_of(Path("a.jsonl")) == format_of(Path("a.ndjson")) == JsonLines()
        assert format_of(Path("a.csv"), TABBED) == TABBED

    def test_in_a_recipe(self) -> None:
        field = TypeAdapter(AnyFormat)
        assert field.validate_python("jsonl") == JsonLines()
        assert field.validate_python({"kind": "csv", "separator": ";"}) == Separated(separator=";")
        assert field.dump_python(TABBED)["separator"] == "\t"

    @pytest.mark.parametrize(
        "wrong", [{"separator": ""}, {"separator": "::"}, {"separator": '"'}, {"encoding": "utf-9"}]
    )
    def test_refused(self, wrong: dict[str, str]) -> None:
        with pytest.raises(ValidationError, match="expected"):
            Separated(**wrong)  # type: ignore[arg-type]

    def test_codecs_that_are_no_text(self) -> None:
        with pytest.raises(ValidationError, match="expected an encoding"):
            JsonLines(encoding="hex")


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1).filter(str.strip)
LOCAL = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class TestRoundTrip:
    @LOCAL
    @given(rows=st.lists(st.tuples(TEXT, TEXT, TEXT), min_size=1), separator=st.sampled_from(",;\t|"))
    def test_csv(self, tmp_path: Path, rows: list[tuple[str, str, str]], separator: str) -> None:
        path = tmp_path / "t.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, delimiter=separator)
            writer.writerows([("a", "b", "y"), *rows])
        found = read(path, ("a", "b"), "y", Separated(separator=separator))
        assert [(*example.texts, example.label) for example in found] == [(a, b, y.strip()) for a, b, y in rows]

    @LOCAL
    @given(rows=st.lists(st.tuples(TEXT, TEXT), min_size=1), ascii=st.booleans())
    def test_jsonl(self, tmp_path: Path, rows: list[tuple[str, str]], ascii: bool) -> None:
        path = tmp_path / "t.jsonl"
        lines = [json.dumps({"a": a, "y": y}, ensure_ascii=ascii) + "\n" for a, y in rows]
        path.write_text("".join(lines), "utf-8", newline="")
        assert [(e.texts[0], e.label) for e in read(path, ("a",), "y")] == [(a, y.strip()) for a, y in rows]

    @LOCAL
    @given(content=st.binary(max_size=200), name=st.sampled_from(["t.csv", "t.tsv", "t.jsonl"]))
    def test_any_bytes_give_examples_or_data_errors(self, tmp_path: Path, content: bytes, name: str) -> None:
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(DataError):
            read(path, ("no such column",), None)
        path.write_bytes({"t.csv": b"a,y\n", "t.tsv": b"a\ty\n", "t.jsonl": b'{"a":"x","y":1}\n'}[name] + content)
        try:
            assert all(isinstance(example, Example) for example in read(path, ("a",), "y"))
        except DataError as error:
            assert all(fault.startswith(str(path)) for fault in error.faults)


class TestRealFiles:
    def test_the_two_broken_rows_of_the_course(self, data: Path, tmp_path: Path) -> None:
        path = data / "cs224n" / "quora-dev.csv"
        found = faults(path, TABBED, ("sentence1", "sentence2"), "is_duplicate")
        assert [fault.split(": ")[0] for fault in found] == [f"{path}:2577", f"{path}:14222"]
        assert all("unbalanced quote" in fault for fault in found)
        kept = read(path, ("sentence1", "sentence2"), "is_duplicate", TABBED, tmp_path / "bad.jsonl")
        assert len(kept) == 20_212
        assert len((tmp_path / "bad.jsonl").read_text("utf-8").splitlines()) == 2

    @pytest.mark.parametrize(
        ("file", "columns", "label", "rows"),
        [
            ("quora/train.tsv", ("sentence1", "sentence2"), "is_duplicate", 89_841),
            ("quora/dev.tsv", ("sentence1", "sentence2"), "is_duplicate", 20_212),
            ("sst/train.tsv", ("sentence",), "sentiment", 8_544),
            ("sts/train.tsv", ("sentence1", "sentence2"), "similarity", 6_040),
            ("sick/train.tsv", ("sentence_A", "sentence_B"), "entailment_judgment", 4_500),
            ("mrpc/train.tsv", ("sentence1", "sentence2"), "label", 4_076),
            ("trec/train.tsv", ("sentence",), "label", 5_452),
        ],
    )
    def test_number_of_rows(self, data: Path, file: str, columns: tuple[str, ...], label: str, rows: int) -> None:
        assert len(read(data / file, columns, label)) == rows

    def test_the_courses_files(self, data: Path) -> None:
        similarity = read(data / "cs224n" / "sts-dev.csv", ("sentence1", "sentence2"), "similarity", TABBED)
        assert (len(similarity), similarity[0].label, similarity[0].line) == (863, "1.0", 2)
        unlabelled = read(data / "cs224n" / "ids-sst-test-student.csv", ("sentence",), None, TABBED)
        assert len(unlabelled) == 2_210
