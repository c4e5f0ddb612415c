"""A task's files: read, checked, split, limited."""

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minbert.errors import DataError
from minbert.tasks import Classes, Rating, Split, Task, TaskData, YesNo, load_task

Write = Callable[[str, Sequence[Sequence[str]]], None]
Load = Callable[..., TaskData]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes rows of x and y, or of a, b and y, as a CSV file."""

    def written(name: str, rows: Sequence[Sequence[str]]) -> None:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([("x", "y") if len(rows[0]) == 2 else ("a", "b", "y"), *rows])

    return written


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def find(name: str) -> Path:
        if not (tmp_path / name).is_file():
            raise DataError(f"{name}: not there")
        return tmp_path / name

    return lambda task, seed=0, **settings: load_task("mine", task, find, seed, **settings)


def classes(**settings: Any) -> Task:
    return Classes(**{"text": "x", "label": "y", "train": "train.csv", "dev": "dev.csv", **settings})


def faults(load: Load, task: Task, tmp_path: Path, **settings: Any) -> list[str]:
    with pytest.raises(DataError) as caught:
        load(task, **settings)
    return [fault.removeprefix(f"{tmp_path}/") for fault in caught.value.faults]


def rows(count: int, label: str = "", start: int = 0) -> list[tuple[str, str]]:
    return [(f"text {i}", label or str(i % 2)) for i in range(start, start + count)]


def texts(split: Split) -> set[str]:
    return {text for column in split.columns for text in column}


def test_columns_labels_and_places(write: Write, load: Load, tmp_path: Path) -> None:
    write("train.csv", [("p", "q", "yes"), ("r", "s", "no")])
    write("dev.csv", [("t\nu", "v", "1.0"), ("w", "x", "FALSE")])
    data = load(YesNo(text=("a", "b"), label="y", train="train.csv", dev="dev.csv"))
    dev = data.splits["dev"]
    assert data.splits["train"].columns == (("p", "r"), ("q", "s"))
    assert dev.columns[0] == ("t\nu", "w") and dev.labels.tolist() == [1, 0]
    assert dev.places == (f"{tmp_path}/dev.csv:2", f"{tmp_path}/dev.csv:4")
    assert data.files == {"train": (tmp_path / "train.csv",), "dev": (tmp_path / "dev.csv",)}
    assert data.remarks == () and len(dev) == 2


def test_several_files_are_one_split_in_their_order(write: Write, load: Load, tmp_path: Path) -> None:
    for number in (1, 2):
        write(f"{number}.csv", rows(3, start=10 * number))
    write("dev.csv", rows(2))
    write("test.csv", rows(4))
    data = load(classes(train=("2.csv", "1.csv"), test="test.csv"))
    assert data.splits["train"].columns[0] == ("text 20", "text 21", "text 22", "text 10", "text 11", "text 12")
    assert data.splits["train"].places[3] == f"{tmp_path}/1.csv:2"
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 6, "dev": 2, "test": 4}


def test_classes_come_from_train_and_labels_are_their_numbers(write: Write, load: Load) -> None:
    write("train.csv", [("a", "ham"), ("b", "10"), ("c", "9"), ("d", "egg")])
    write("dev.csv", [("e", "egg"), ("f", "9")])
    data = load(classes())
    assert data.task.labels == ("9", "10", "egg", "ham")  # type: ignore[attr-defined]
    assert data.splits["dev"].labels.tolist() == [2, 0]


def test_all_label_faults_of_all_files_come_at_once_with_their_lines(write: Write, load: Load, tmp_path: Path) -> None:
    for name, bad in (("train.csv", "5.5"), ("dev.csv", "x"), ("test.csv", "-1")):
        write(name, [("a", "1"), ("b", bad), ("c", "2")])
    task = Rating(text="x", label="y", range=(0, 5), train="train.csv", dev="dev.csv", test="test.csv")
    found = faults(load, task, tmp_path)
    assert [fault.split(" ")[0] for fault in found] == ["train.csv:3:", "dev.csv:3:", "test.csv:3:"]
    assert all("expected a number from 0 to 5 in 'y', found" in fault for fault in found)


def test_a_class_that_train_does_not_have_is_a_fault_of_dev(write: Write, load: Load, tmp_path: Path) -> None:
    write("train.csv", [("a", "ham"), ("b", "spam")])
    write("dev.csv", [("c", "ham"), ("d", "spma")])
    (fault,) = faults(load, classes(), tmp_path)
    assert fault.startswith("dev.csv:3: expected a class of 'y' that train has, found 'spma'; did you mean 'spam'?")


def test_missing_files_and_broken_rows_come_together(write: Write, load: Load, tmp_path: Path) -> None:
    write("train.csv", [("a", "ham"), ("", "spam")])
    found = faults(load, classes(train=("train.csv", "gone.csv"), dev="away.csv"), tmp_path)
    assert found[:2] == ["gone.csv: not there", "away.csv: not there"]
    assert found[2].startswith("train.csv:3: expected a text in 'x'") and len(found) == 3


def test_bad_rows_and_bad_labels_come_together(write: Write, load: Load, tmp_path: Path) -> None:
    write("train.csv", [("a", "1"), ("", "2"), ("c", "many"), ("d", "3")])
    write("dev.csv", [("e", "9")])
    said = faults(load, Rating(text="x", label="y", train="train.csv", dev="dev.csv", range=(0, 5)), tmp_path)  # type: ignore[arg-type]
    assert [fault.split(": ")[0] for fault in said] == ["train.csv:3", "train.csv:4", "dev.csv:2"]


def test_where_all_labels_are_bad_it_is_said_where_they_are(write: Write, load: Load, tmp_path: Path) -> None:
    write("train.csv", [("a", "1,5"), ("c", "2,5")])
    write("dev.csv", [("e", "3")])
    task = Rating(text="x", label="y", train="train.csv", dev="dev.csv", range=(0, 5))  # type: ignore[arg-type]
    (said,) = faults(load, task, tmp_path, skip_bad=tmp_path / "bad.jsonl")
    assert "found none (all files: 2 bad rows left out, see " in said and (tmp_path / "bad-mine-labels.jsonl").exists()


def test_one_class_alone_cannot_be_learned(write: Write, load: Load, tmp_path: Path) -> None:
    write("train.csv", rows(3, "ham"))
    write("dev.csv", rows(3, "ham"))
    assert faults(load, classes(), tmp_path) == ["train.csv: expected two classes or more in 'y', found one"]


def test_an_empty_file_is_named(write: Write, load: Load, tmp_path: Path) -> None:
    write("train.csv", rows(4))
    (tmp_path / "dev.csv").write_text("x,y\n")
    assert faults(load, classes(), tmp_path)[0].startswith("dev.csv: expected rows, found none")


def test_a_share_of_train_is_dev_and_another_select(write: Write, load: Load) -> None:
    write("train.csv", rows(100))
    data = load(classes(dev=0.2), select=0.1)
    parts = [texts(data.splits[name]) for name in ("train", "dev", "select")]
    assert [len(part) for part in parts] == [72, 20, 8]
    assert not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])
    assert data.splits["dev"].labels.bincount().tolist() == [10, 10]
    assert data.splits["select"].labels.bincount().tolist() == [4, 4]


def test_shares_are_those_of_the_seed(write: Write, load: Load) -> None:
    write("train.csv", rows(60))
    task = classes(dev=0.2)
    assert load(task).splits["dev"].places == load(task).splits["dev"].places
    assert load(task).splits["dev"].places != load(task, seed=1).splits["dev"].places


def test_a_share_that_hangs_together_is_refused_or_remarked(write: Write, load: Load, tmp_path: Path) -> None:
    pair = YesNo(text=("a", "b"), label="y", train="train.csv", dev=0.5)
    write("train.csv", [("hub", f"{i}", str(i % 2)) for i in range(10)])
    assert "hang together through equal texts; name a file for dev" in faults(load, pair, tmp_path)[0]
    write("train.csv", [*[("hub", f"{i}", str(i % 2)) for i in range(16)], ("x", "y", "0"), ("z", "w", "1")])
    data = load(pair)
    assert len(data.splits["dev"]) == 2
    assert data.remarks == ("dev: 11.1% of train, not 50.0%: the other rows hang together through equal texts",)


def test_a_limit_is_drawn_once_and_keeps_the_order_of_the_file(write: Write, load: Load) -> None:
    write("train.csv", rows(50))
    write("dev.csv", rows(30))
    first, again, other = (load(classes(limit=20), seed=seed) for seed in (0, 0, 1))
    for split, whole in (("train", 50), ("dev", 30)):
        chosen = first.splits[split].columns[0]
        numbers = [int(text.split()[1]) for text in chosen]
        assert len(numbers) == 20 and numbers == sorted(numbers)
        assert chosen == again.splits[split].columns[0] != other.splits[split].columns[0]
        assert f"{split}: 20 of {whole} rows, drawn once" in first.remarks
    assert load(classes(limit=50)).remarks == ()


def test_rows_are_chosen_by_mask_or_number(write: Write, load: Load) -> None:
    write("train.csv", rows(4))
    write("dev.csv", rows(4))
    split = load(classes()).splits["dev"]
    assert split.rows(np.array([3, 1])).columns[0] == ("text 3", "text 1")
    assert split.rows(np.array([True, False, False, True])).labels.tolist() == [0, 1]


def test_bad_rows_are_set_aside_file_by_file(write: Write, load: Load, tmp_path: Path) -> None:
    for folder in ("old", "new"):
        write(f"{folder}/train.csv", [*rows(2), ("", "1")])
    write("dev.csv", rows(2))
    data = load(classes(train=("old/train.csv", "new/train.csv")), skip_bad=tmp_path / "bad.jsonl")
    assert len(data.splits["train"]) == 4
    kept = "".join(path.read_text() for path in sorted(tmp_path.glob("bad*.jsonl")))
    assert "old/train.csv" in kept and "new/train.csv" in kept
    first, again = data.remarks
    assert first == f"train: 1 bad row left out, see {tmp_path / 'bad-mine-train.jsonl'}"
    assert again == f"train: 1 bad row left out, see {tmp_path / 'bad-mine-train-2.jsonl'}"


def test_leaks_of_a_split(write: Write, load: Load) -> None:
    write("train.csv", [("p", "q", "1"), ("q", "r", "1"), ("s", "t", "0")])
    write("dev.csv", [("r", "p", "1"), ("t", "s", "0"), ("p", "s", "1"), ("p", "r", "0")])
    pair = {"text": ("a", "b"), "label": "y", "train": "train.csv", "dev": "dev.csv"}
    assert load(YesNo(**pair)).leaked("dev").tolist() == [True, True, False, False]
    assert load(Rating(**pair, range=(0, 1))).leaked("dev").tolist() == [False, True, False, False]


def test_rows_whose_label_cannot_be_read_are_skipped_like_other_bad_rows(
    write: Write, load: Load, tmp_path: Path
) -> None:
    write("train.csv", [("p", "q", "1"), ("r", "s", "perhaps"), ("t", "u", "no")])
    write("dev.csv", [("p", "s", "0"), ("x", "y", "?")])
    task = YesNo(text=("a", "b"), label="y", train="train.csv", dev="dev.csv")
    assert len(faults(load, task, tmp_path)) == 2
    data = load(task, skip_bad=tmp_path / "bad.jsonl")
    assert {name: split.labels.tolist() for name, split in data.splits.items()} == {"train": [1, 0], "dev": [0]}
    assert data.splits["train"].places == (f"{tmp_path}/train.csv:2", f"{tmp_path}/train.csv:4")
    records = [json.loads(line) for line in (tmp_path / "bad-mine-labels.jsonl").read_text().splitlines()]
    assert [(r["file"], r["line"], r["row"]) for r in records] == [
        (f"{tmp_path}/train.csv", 3, "r\ts\tperhaps"),
        (f"{tmp_path}/dev.csv", 3, "x\ty\t?"),
    ]
    assert all("expected a yes or no" in r["fault"] for r in records)
    assert data.remarks == (f"all files: 2 bad rows left out, see {tmp_path / 'bad-mine-labels.jsonl'}",)


def test_tasks_over_the_same_texts_hold_out_the_same_rows(write: Write, load: Load) -> None:
    write("one.csv", [(f"text {i}", str(i % 5)) for i in range(200)])
    write("two.csv", [(f"text {i}", str(i % 5)) for i in range(200)])
    files: dict[str, Any] = {"text": ("x",), "label": "y", "train": ("one.csv",), "dev": 0.2}
    first = load(Classes(**files, limit=30), select=0.1)
    second = load(Rating(**files, range=(0, 4)), seed=1, select=0.1, others=[first])
    assert len(first.splits["dev"]) == 30 and second.splits["select"].places == first.splits["select"].places
    assert set(first.splits["dev"].places) < set(second.splits["dev"].places) and len(second.splits["dev"]) == 40
    assert not set(first.splits["train"].places) & {p for s in ("dev", "select") for p in second.splits[s].places}
    assert second.remarks == ()
    alone = load(Rating(**files, range=(0, 4)), seed=1, select=0.1)
    wider = load(Rating(**{**files, "dev": 0.3}, range=(0, 4)), seed=1, select=0.1, others=[first])
    held = {place for places in first.held.values() for place in places}
    learned, lost = wider.remarks
    count = len(held & set(wider.splits["train"].places))
    assert learned.startswith(f"train: {count} rows that another task of the same files holds out") and count > 20
    mine = {place for places in wider.held.values() for place in places}
    count = len(mine & set(first.splits["train"].places))
    assert lost.startswith(f"held out: {count} rows that another task of the same files learns from") and count > 3
    for other in ({"train": ("two.csv",)}, {"dev": 0.3}):
        apart = load(Rating(**{**files, **other}, range=(0, 4)), seed=1, select=0.1, others=[first])
        assert apart.splits["select"].places != first.splits["select"].places, other
    assert alone.splits["dev"].places != second.splits["dev"].places


def test_select_rows_agree_where_dev_files_differ(write: Write, load: Load) -> None:
    write("one.csv", [(f"text {i}", str(i % 5)) for i in range(200)])
    for name in ("dev.csv", "other.csv"):
        write(name, [(f"{name} {i}", str(i % 5)) for i in range(20)])
    first = load(classes(train=("one.csv",)), select=0.1)
    second = load(classes(train=("one.csv",), dev="other.csv"), seed=1, select=0.1, others=[first])
    assert second.splits["select"].places == first.splits["select"].places and second.remarks == ()


def test_rows_that_are_held_out_of_a_task_read_before_are_told(write: Write, load: Load) -> None:
    write("one.csv", [(f"text {i}", str(i % 5)) for i in range(200)])
    write("two.csv", [(f"more {i}", str(i % 5)) for i in range(50)])
    write("dev.csv", [(f"dev {i}", str(i % 5)) for i in range(20)])
    first = load(classes(train=("one.csv", "two.csv")))
    second = load(classes(train=("one.csv",), dev=0.1), others=[first])
    (said,) = second.remarks
    assert said.startswith("held out: 20 rows that another task of the same files learns from")


def test_the_order_of_a_pairs_columns_does_not_matter(write: Write, load: Load) -> None:
    write("one.csv", [(f"text {i}", f"other {i}", str(i % 2)) for i in range(100)])
    files: dict[str, Any] = {"label": "y", "train": ("one.csv",), "dev": 0.2}
    first = load(YesNo(**files, text=("a", "b")))
    second = load(Rating(**files, text=("b", "a"), range=(0, 1)), seed=1, others=[first])
    assert second.splits["dev"].places == first.splits["dev"].places
