"""Copies of files without some of their rows."""

from pathlib import Path
from typing import Any

import pytest

from minbert.audit import check, fix, read_rows
from minbert.audit.fix import check_target, copy_rows
from minbert.errors import DataError
from minbert.recipe import check_recipe
from minbert.tasks import Classes
from minbert.text.json_lines import JsonLines
from minbert.text.readers import read
from minbert.text.separated import Separated

TASK = Classes(text="x", label="y", train="x.csv")


COMMA = """x,y,n\r
"one, two\r
lines",0,7\r
three,1,8\r
four,0,9"""
OBJECTS = """{"x": "ä", "y": 0}
{"x": "b", "y": 1.0}
{"y": 1, "x": "ü"}
"""


@pytest.mark.parametrize(
    ("name", "format", "content", "expected"),
    [
        ("a.csv", None, COMMA, COMMA.replace("three,1,8\r\n", "")),
        ("a.csv", None, "x,y\na,0\n\nb,1\nc\nd,1\n\n", "x,y\na,0\nd,1\n"),
        ("a.tsv", None, 'x\ty\n"a\t0\nb\t1\nc"\t1\n', 'x\ty\n"a\t0\nc"\t1\n'),
        ("a.jsonl", None, OBJECTS.replace("b", "\\"), OBJECTS.replace('{"x": "b", "y": 1.0}\n', "")),
        ("a.txt", Separated(separator=";", encoding="utf-16"), "x;y\nä;0\nb;1\nü;1\n", "x;y\nä;0\nü;1\n"),
        ("a.txt", JsonLines(encoding="cp1252"), OBJECTS, OBJECTS.replace('{"x": "b", "y": 1.0}\n', "")),
    ],
)
def test_rows_that_stay_are_copied_as_they_stand(
    tmp_path: Path, name: str, format: Any, content: str, expected: str
) -> None:
    encoding = format.encoding if format else "utf-8"
    source, target = tmp_path / name, tmp_path / "new" / name
    source.write_bytes(content.encode(encoding))
    rows = read(source, ("x",), "y", format, tmp_path / "bad.jsonl")
    task = TASK.model_copy(update={"format": format})
    copy_rows(source, target, task, {rows[0].line, rows[-1].line})
    assert target.read_bytes() == expected.encode(encoding)
    assert [row.texts for row in read(target, ("x",), "y", format)] == [rows[0].texts, rows[-1].texts]


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    check_target(tmp_path / "new")
    check_target(tmp_path)
    (tmp_path / "file").write_text("")
    for target in (tmp_path, tmp_path / "file"):
        with pytest.raises(DataError, match="expected a new or an empty folder"):
            check_target(target)


def test_a_task_of_which_nothing_would_be_left_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x,y\na,0\nb,1\n")
    table = {"tasks": {"t": {"kind": "classes", "text": "x", "label": "y", "train": "t.csv", "dev": "t.csv"}}}
    recipe = check_recipe(table, tmp_path)
    audit = check(read_rows(recipe), 0.0)
    with pytest.raises(DataError, match="t: expected rows that may stay, found that all 2 leak"):
        fix(recipe, audit, tmp_path / "new")
    assert not (tmp_path / "new").exists()
