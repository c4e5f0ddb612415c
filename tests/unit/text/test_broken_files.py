import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from minbert.errors import DataError
from minbert.text.lines import CELL
from minbert.text.readers import Format, Separated, header, read

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


class TestBadFiles:
    def test_missing(self, write: Write) -> None:
        write("train.csv", "a,y\n")
        near = "trian.csv: expected a file, found none; did you mean train.csv?"
        assert faults(Path("trian.csv")) == [near]
        assert "check the path" in faults(Path("nowhere/at-all.csv"))[0]

    def test_folder(self, write: Write) -> None:
        Path("f.csv").mkdir()
        assert faults(Path("f.csv")) == ["f.csv: expected a file, found a folder; name the file in it"]

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
    def test_not_readable(self, write: Write) -> None:
        path = write("t.csv", "a,y\n")
        path.chmod(0)
        assert "check its permissions" in faults(path)[0]

    @pytest.mark.parametrize("content", ["", "\ufeff"])
    @pytest.mark.parametrize("name", ["t.csv", "t.tsv"])
    def test_empty(self, write: Write, name: str, content: str) -> None:
        assert faults(write(name, content)) == [f"{name}: expected a header line and rows, found an empty file"]
        with pytest.raises(DataError, match="found an empty file"):
            header(Path(name))

    def test_empty_jsonl(self, write: Write) -> None:
        path = write("t.jsonl", "")
        assert faults(path) == ["t.jsonl: expected rows, found none; is this the right file?"]
        with pytest.raises(DataError, match="expected one JSON object a line, found an empty file"):
            header(path)

    @pytest.mark.parametrize("content", ["\n", ",,\n", "  \nx,1\n"])
    def test_no_header(self, write: Write, content: str) -> None:
        problem = "expected a header line with the names of the columns, found none; add one at the top"
        assert faults(write("t.csv", content)) == [f"t.csv:1: {problem}"]

    @pytest.mark.parametrize("name", ["t.csv", "t.tsv"])
    def test_header_only(self, write: Write, name: str) -> None:
        mark = "," if name.endswith("csv") else "\t"
        assert faults(write(name, f"a{mark}y\n\n")) == [f"{name}: expected rows, found none; is this the right file?"]

    def test_missing_columns(self, write: Write) -> None:
        assert faults(write("t.csv", ",sentence,score\n0,x,1\n"), columns=("sentense",)) == [
            "t.csv:1: expected a column 'sentense', found none; did you mean 'sentence'? known: sentence, score",
            "t.csv:1: expected a column 'y', found none; known: sentence, score",
        ]

    def test_missing_because_of_another_separator(self, write: Write) -> None:
        right = '{ kind = "csv", separator = "\\t", quoted = true, encoding = "utf-8" }'
        assert faults(write("t.csv", "a\ty\nx\t1\n")) == [
            f"t.csv:1: expected the columns a, y, found one column that holds '\\t'; write format = {right}"
        ]

    def test_missing_because_there_is_no_header(self, write: Write) -> None:
        found = faults(write("t.csv", "some text,1\nmore text,0\n"))
        assert found[0].endswith("; if line 1 is a row already, add a header line above it")

    def test_column_twice_in_the_header(self, write: Write) -> None:
        found = "t.csv:1: expected one column 'a', found 2; rename the others"
        assert faults(write("t.csv", "a,a,y\nx,x,1\n")) == [found]

    def test_column_asked_for_twice(self, write: Write) -> None:
        path = write("t.csv", "a,y\nx,1\n")
        found = "t.csv: expected different columns for texts and label, found a, a, y; name each once"
        assert faults(path, columns=("a", "a")) == [found]
        assert "found a, a; name" in faults(path, label="a")[0]

    def test_unknown_suffix(self, write: Write) -> None:
        found = faults(write("t.dat", "a,y\nx,1\n"))[0]
        assert found.startswith("t.dat: expected a file ending in .csv, .tsv, .jsonl, .ndjson, found .dat; say in the")
        assert 'format = { kind = "csv", separator = "\\t", quoted = false, encoding = "utf-8" }' in found

    def test_utf16_is_named(self, write: Write) -> None:
        for name in ("t.csv", "t.tsv", "t.jsonl"):
            assert faults(write(name, "a,y\nx,1\n".encode("utf-16"))) == [
                f"{name}:1: expected utf-8, found the byte order mark of UTF-16; "
                'save the file as UTF-8 or write encoding = "utf-16" in its `format`'
            ]

    def test_utf16_without_mark(self, write: Write) -> None:
        found = faults(write("t.csv", "a,y\nx,1\n".encode("utf-16-le")))[0]
        assert found.startswith("t.csv:1: expected text, found a NUL byte") and 'encoding = "utf-16-le"' in found

    def test_cut_utf16(self, write: Write) -> None:
        path = write("t.csv", "a,y\nx,1\nz,1\n".encode("utf-16-le")[:-1])
        assert faults(path, Separated(encoding="utf-16-le"))[0].startswith("t.csv:3: expected utf-16-le, found bytes")

    def test_carriage_returns_alone(self, write: Write) -> None:
        for name in ("t.csv", "t.tsv"):
            found = faults(write(name, "a,y\rx,1\r"))[0]
            assert found.startswith(f"{name}:1: expected lines that end in a line feed") and r"\r\n" in found


class TestBadRows:
    def test_all_faults_at_once(self, write: Write) -> None:
        path = write("t.csv", b'a,b,y\nx,y\n\n1,2,3,4\n,x,1\nx, ,1\nx,z,\n\xe9,x,1\nx\0,x,1\ng,g,g\n"x"y,1,1\n')
        assert faults(path, columns=("a", "b")) == [
            "t.csv:2: expected 3 columns, found 2; repair the row or skip it",
            "t.csv:3: expected a row, found an empty line; remove it",
            "t.csv:4: expected 3 columns, found 4; quote a text that holds ',': repair the row or skip it",
            "t.csv:5: expected a text in 'a', found an empty cell; fill it or remove the row",
            "t.csv:6: expected a text in 'b', found an empty cell; fill it or remove the row",
            "t.csv:7: expected a label in 'y', found an empty cell; fill it or remove the row",
            "t.csv:8: expected utf-8, found the byte 0xe9 at 1 of the line; save the file as UTF-8 or name its "
            'encoding in its `format`, for example encoding = "cp1252"',
            "t.csv:9: expected text, found a NUL byte; repair the row, or if the file is UTF-16 write "
            'encoding = "utf-16-le" in its `format`',
            "t.csv:11: expected balanced quotes, found one that is not closed where its cell ends; double the quotes "
            "inside a quoted text, or if the file does not quote write "
            'format = { kind = "csv", separator = ",", quoted = false, encoding = "utf-8" }',
        ]

    def test_tsv(self, write: Write) -> None:
        assert faults(write("t.tsv", b"a\ty\nx\nx\ty\tz\n\nx\xff\t1\n")) == [
            "t.tsv:2: expected 2 columns, found 1; repair the row or skip it",
            "t.tsv:3: expected 2 columns, found 3; no text may hold '\\t': repair the row or skip it",
            "t.tsv:4: expected a row, found an empty line; remove it",
            "t.tsv:5: expected utf-8, found the byte 0xff at 2 of the line; save the file as UTF-8 or name its "
            'encoding in its `format`, for example encoding = "cp1252"',
        ]

    def test_a_bad_byte_inside_a_row_of_several_lines(self, write: Write) -> None:
        found = faults(write("t.csv", b'a,y\n"one\ntw\xe9",1\nx,1\n'))
        assert len(found) == 1 and found[0].startswith("t.csv:3: expected utf-8, found the byte 0xe9")

    @pytest.mark.parametrize("content", [b"a\xe9,y\nx,1\n", b'"a,y\nx,1\n'])
    def test_a_bad_header(self, write: Write, content: bytes) -> None:
        assert len(faults(write("t.csv", content))) == 1

    def test_an_unbalanced_quote_swallows_no_rows(self, write: Write, tmp_path: Path) -> None:
        rows = ["a,b,y", 'x,"open,1', "good,one,0", 'w,"fine\nhere",1', 'x,"open too,1', "good,two,0", "good,three,1"]
        path = write("t.csv", "\n".join(rows) + "\n")
        found = faults(path, columns=("a", "b"))
        assert [fault.split(": ")[0] for fault in found] == ["t.csv:2", "t.csv:6"]
        assert all("expected balanced quotes" in fault and "double the quotes" in fault for fault in found)
        kept = read(path, ("a", "b"), "y", skip_bad=tmp_path / "bad.jsonl")
        assert [example.texts[1] for example in kept] == ["one", "fine\nhere", "two", "three"]
        assert [example.line for example in kept] == [3, 4, 7, 8]

    def test_neighbours_with_unbalanced_quotes(self, write: Write) -> None:
        found = faults(write("t.tsv", 'a\ty\n"x\t1\n"z\t1\nw\t1\n'), TABBED)
        assert [fault.split(": ")[0] for fault in found] == ["t.tsv:2", "t.tsv:3"]

    def test_a_quoted_row_of_the_wrong_width_is_one_fault(self, write: Write) -> None:
        found = faults(write("t.csv", 'a,b,y\n"some\nlines of\ntext",1\nx,z,1\n'), columns=("a", "b"))
        assert len(found) == 1
        assert found[0].startswith("t.csv:2: expected 3 columns, found 2 over 3 lines; double the quotes")

    def test_a_quote_open_to_the_end_of_a_long_file(self, write: Write) -> None:
        path = write("t.csv", 'a,y\n"open,1\n' + "many words in a row,1\n" * 60_000)
        found = faults(path)
        assert len(found) == 1 and found[0].startswith("t.csv:2: expected balanced quotes")

    def test_a_carriage_return_inside_a_line(self, write: Write) -> None:
        found = faults(write("t.csv", "a,y\nx\rz,1\nw,1\n"))
        assert found == [
            "t.csv:2: expected lines that end in a line feed, found a carriage return inside one; "
            "repair the row or skip it"
        ]

    @pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.jsonl", "quoted.csv"])
    def test_long_cells(self, write: Write, name: str) -> None:
        def row(text: str) -> str:
            if name.endswith("jsonl"):
                return json.dumps({"a": text, "y": 1})
            return {"t.csv": f"{text},1", "t.tsv": f"{text}\t1", "quoted.csv": f'"{text}",1'}[name]

        top = [] if name.endswith("jsonl") else [row("a").replace("1", "y")]
        path = write(name, "\n".join([*top, row("x" * CELL), row("x" * (CELL + 1)), row("z")]) + "\n")
        number = 2 + len(top)
        problem = "expected cells of at most 1,000,000 characters, found a longer one; shorten it or skip the row"
        assert faults(path) == [f"{name}:{number}: {problem}"]

    @pytest.mark.parametrize(
        ("row", "problem"),
        [
            ('{"a": "x"', "expected one JSON object, found broken JSON (Expecting ',' delimiter at column"),
            ('{"a": "x", "y": NaN}', "expected one JSON object, found broken JSON (NaN is no JSON value); repair"),
            ("[" * 100_000, "expected one JSON object, found broken JSON (nested too deeply)"),
            ('["x", 1]', "expected one JSON object, found another value; repair the row or skip it"),
            ('{"y": 1, "aa": "x"}', "expected a key 'a', found none; did you mean 'aa'? known: y, aa"),
            ('{"a": null, "y": 1}', "expected a string or a number in 'a', found null; repair the row or skip it"),
            ('{"a": ["x"], "y": 1}', "expected a string or a number in 'a', found a list; repair"),
            ('{"a": {}, "y": 1}', "expected a string or a number in 'a', found an object; repair"),
            ('{"a": true, "y": 1}', "expected a string or a number in 'a', found true or false; repair"),
            ('{"a": "x", "y": null}', "expected a string or a number in 'y', found null; repair"),
            ('{"a": "x\\ud800", "y": 1}', "expected text in 'a', found half of a surrogate pair; repair the row"),
            ('{"a": "x\\u0000", "y": 1}', "expected text in 'a', found a NUL character; repair the row or skip it"),
            ('{"a": " ", "y": 1}', "expected a text in 'a', found an empty cell; fill it or remove the row"),
            ('{"a": "x", "y": ""}', "expected a label in 'y', found an empty cell; fill it or remove the row"),
            ("", "expected a row, found an empty line; remove it"),
        ],
    )
    def test_json_rows(self, write: Write, row: str, problem: str) -> None:
        good = '{"a": "x", "y": 1}'
        found = faults(write("t.jsonl", f"{good}\n{row}\n{good}\n"))
        assert len(found) == 1
        assert found[0].startswith(f"t.jsonl:2: {problem}")

    def test_a_json_list_is_no_json_lines(self, write: Write) -> None:
        path = write("t.jsonl", '[\n{"a": "x", "y": 1}\n]\n')
        message = "t.jsonl:1: expected one JSON object a line, found a list; write each row on its own line"
        assert faults(path) == [message]
        with pytest.raises(DataError, match="found a list"):
            header(path)

    def test_reading_stops_at_ten_thousand_faults(self, write: Write) -> None:
        assert len(faults(write("t.csv", "a,y\n" + "x\n" * 10_100))) == 10_000
