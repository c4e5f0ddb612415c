"""Rows of all tasks, with broken ones set aside."""

from pathlib import Path
from typing import Any

import pytest

from minbert.audit import read_rows
from minbert.errors import DataError
from minbert.recipe import Recipe, check_recipe


def recipe(folder: Path, **more: Any) -> Recipe:
    task = {"kind": "yes_no", "text": ["a", "b"], "label": "y", "train": "train.csv", "dev": "dev.csv"}
    return check_recipe({"tasks": {"same": task, "again": task}, **more}, folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train.csv").write_text("a,b,y\np,q,1\nr,s\nt,,0\nu,v,maybe\nw,x,0\n")
    (tmp_path / "dev.csv").write_text('a,b,y\np,q,0\n"x,y,1\ny,z,1\n')
    return tmp_path


def test_every_broken_row_is_named_and_the_others_are_read(folder: Path) -> None:
    found = read_rows(recipe(folder))
    places = [(b.task, b.split, b.place.removeprefix(f"{folder}/")) for b in found.broken]
    assert places == [
        (task, split, place)
        for task in ("same", "again")
        for split, place in (
            ("train", "train.csv:3"), ("train", "train.csv:4"), ("train", "train.csv:5"), ("dev", "dev.csv:3"),
        )
    ]  # fmt: skip
    problems = [b.problem for b in found.broken[:4]]
    for problem, words in zip(problems, ("3 columns, found 2", "empty cell", "'maybe'", "quotes"), strict=True):
        assert words in problem and problem.startswith("expected ")
    assert {split: rows.places for split, rows in found.tasks["same"].splits.items()} == {
        "train": (f"{folder}/train.csv:2", f"{folder}/train.csv:6"),
        "dev": (f"{folder}/dev.csv:2", f"{folder}/dev.csv:4"),
    }


def test_a_limit_does_not_hide_rows(folder: Path) -> None:
    limited = recipe(folder)
    tasks = {name: task.model_copy(update={"limit": 1}) for name, task in limited.tasks.items()}
    found = read_rows(limited.model_copy(update={"tasks": tasks}))
    assert len(found.tasks["same"].splits["train"]) == 2


def test_files_that_cannot_be_used_are_named_at_once_and_not_by_a_place_that_is_gone(folder: Path) -> None:
    (folder / "train.csv").write_text("a,b,y\np\nq\n")
    (folder / "dev.csv").unlink()
    with pytest.raises(DataError) as caught:
        read_rows(recipe(folder))
    said = [fault.removeprefix(f"{folder}/") for fault in caught.value.faults]
    assert [fault.split(":")[0] for fault in said] == ["dev.csv", "train.csv", "train.csv"], said
    assert all("expected" in fault and "bad.jsonl" not in fault for fault in said)


def test_a_share_for_select_is_a_split_of_its_own(folder: Path) -> None:
    rows = "".join(f"p{i},q{i},{i % 2}\n" for i in range(40))
    (folder / "train.csv").write_text(f"a,b,y\n{rows}")
    found = read_rows(recipe(folder, select={"on": 0.2}))
    assert {split: len(rows) for split, rows in found.tasks["same"].splits.items()} == {
        "train": 32,
        "select": 8,
        "dev": 2,
    }
