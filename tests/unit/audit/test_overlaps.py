"""What of one split stands in another, on made rows."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minbert.audit import Reading, check
from minbert.audit.overlaps import Overlap, overlap
from minbert.audit.parts import Part, parts_of
from minbert.tasks import Classes, Rating, Split, Task, TaskData, YesNo

Rows = list[tuple[Any, ...]]
FILES: dict[str, Any] = {"label": "y", "train": "x.csv"}
SAME = YesNo(text=("a", "b"), **FILES)
NEAR = Rating(text=("a", "b"), range=(0.0, 5.0), **FILES)
RELATION = Classes(text=("a", "b"), labels=("yes", "no"), **FILES)
TOPIC = Classes(text="a", labels=("0", "1"), **FILES)


def split(rows: Rows, name: str) -> Split:
    """Rows of texts and a label."""
    columns = tuple(tuple(row[i] for row in rows) for i in range(len(rows[0]) - 1))
    return Split(columns, torch.tensor([row[-1] for row in rows]), tuple(f"{name}:{i + 2}" for i in range(len(rows))))


def data(task: Task, **splits: Rows) -> TaskData:
    return TaskData(task, {name: split(rows, name) for name, rows in splits.items()}, (), {})


def compared(task: Task, dev: Rows, train: Rows, near: float = 0.0) -> Overlap:
    (found,) = check(Reading({"mine": data(task, train=train, dev=dev)}), near).overlaps
    return found


def part(task: Task, rows: Rows) -> Part:
    return parts_of({"mine": data(task, train=rows)})[0][0]


def test_rows_are_equal_by_words_in_either_order() -> None:
    found = compared(SAME, [("A b.", "c", 1), ("c", "a b", 0), ("a b", "d", 1)], [("x", "y", 0), ("c", "A b.", 0)])
    assert found.exact.tolist() == [1, 1, -1]
    assert found.letters.tolist() == [True, False, False]
    assert found.shared.tolist() == [True, True, True] and found.any.tolist() == [True, True, False]
    assert found.giving == {1: ("exact", 0)} and not found.chains


def test_the_first_row_that_gives_away_is_named() -> None:
    found = compared(TOPIC, [("a b", 0), ("a b", 1)], [("z", 0), ("A b", 0), ("a b", 1)])
    assert found.exact.tolist() == [1, 1] and found.letters.tolist() == [True, True]
    assert found.giving == {1: ("exact", 0), 2: ("exact", 0)}


def test_a_pair_follows_only_from_yes_pairs_and_is_told_how() -> None:
    train = [("a", "b", 1), ("b", "c", 1), ("c", "d", 0), ("q", "r", 1)]
    found = compared(SAME, [("c", "a", 1), ("a", "c", 0), ("a", "d", 1), ("q", "q", 1)], train)
    assert found.chains == {0: [1, 0], 3: []}
    ratings = compared(NEAR, [("c", "a", 1.0)], [(*row[:2], float(row[2])) for row in train])
    assert not ratings.chains


LONG = "how do i cook rice without burning it at all"


def test_a_pair_is_near_if_both_of_its_texts_are() -> None:
    train = [(LONG, "my dog eats grass every single morning", 0)]
    dev = [
        ("My dog eats grass every single mornings", LONG + "?", 0),
        (LONG + " now", "my dog eats grass every single morning", 0),
        (LONG + " now", "what is the capital of france", 0),
        ("my dog eats grass every single morning!", LONG, 1),
    ]
    found = compared(SAME, dev, train, 0.8)
    assert found.near.tolist() == [0, 0, -1, -1] and found.exact.tolist() == [-1, -1, -1, 0]
    assert found.giving == {0: ("exact", 3)}
    assert compared(SAME, dev[:1], train, 0.8).giving == {0: ("near", 0)}
    assert compared(SAME, dev, train, 0.99).near.tolist() == [-1] * 4


letters = st.sampled_from("abcde")
pairs = st.lists(st.tuples(letters, letters, st.sampled_from([0, 1])), min_size=1, max_size=8)


@settings(deadline=None)
@given(dev=pairs, train=pairs, close=st.sets(st.tuples(letters, letters)))
def test_near_pairs_are_those_that_comparing_all_finds(dev: Rows, train: Rows, close: set[tuple[str, str]]) -> None:
    (source, target), texts = parts_of({"mine": data(SAME, train=train, dev=dev)})
    alike = close | {(b, a) for a, b in close} | {(a, a) for a in "abcde"}
    neighbours = {i: {j for j, b in enumerate(texts) if (a, b) in alike} for i, a in enumerate(texts)}
    found = overlap(target, source, neighbours, len(texts))

    def near(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
        (a, b, _), (c, d, _) = one, other
        return {a, b} != {c, d} and (
            ((a, c) in alike and (b, d) in alike) or ((a, d) in alike and (b, c) in alike)
        )  # fmt: skip

    hits = [[r for r, other in enumerate(train) if near(row, other)] for row in dev]
    assert found.near.tolist() == [
        -1 if found.exact[row] >= 0 or not rows else rows[0] for row, rows in enumerate(hits)
    ]
    nearly = {row for row, (how, _) in found.giving.items() if how == "near"}
    equal = {row for row, other in enumerate(train) if any(set(other[:2]) == set(row[:2]) for row in dev)}
    assert nearly == {row for rows in hits for row in rows} - equal and set(found.giving) - nearly == equal


class TestGroups:
    ROWS: Rows = [("a", "b", 0), ("B", "a", 1), ("x", "y", 0), ("a!", "b", 0)]

    def test_the_order_in_a_pair_counts_for_classes_only(self) -> None:
        assert [group.tolist() for group in part(SAME, self.ROWS).groups()] == [[0, 1, 3]]
        assert [group.tolist() for group in part(RELATION, self.ROWS).groups()] == [[0, 3]]

    @pytest.mark.parametrize(("labels", "agree"), [((2.0, 2.4), True), ((2.0, 2.6), False)])
    def test_ratings_agree_within_a_tenth_of_the_range(self, labels: tuple[float, float], agree: bool) -> None:
        found = part(NEAR, [("a", "b", labels[0]), ("a", "b", labels[1])])
        assert found.agree(found.groups()[0]) is agree

    def test_labels_have_names(self) -> None:
        assert [part(task, self.ROWS).label(1) for task in (SAME, RELATION)] == ["yes", "no"]
        assert part(NEAR, [("a", "b", 2.5)]).label(0) == "2.5"

    def test_a_text_and_a_pair_of_it_are_not_equal(self) -> None:
        parts, _ = parts_of({"one": data(TOPIC, train=[("a", 0)]), "two": data(SAME, train=[("a", "a", 0)])})
        assert parts[0].texts[0, 0] == parts[1].texts[0, 0] and parts[0].keys[0] != parts[1].keys[0]


def test_across_tasks_and_between_dev_and_test() -> None:
    one = data(SAME, train=[("p", "q", 1)], dev=[("a", "b", 1), ("c", "d", 0)], test=[("d", "c", 0)])
    two = data(NEAR, train=[("b", "a", 1.0), ("q", "p", 2.0)], dev=[("z", "z", 1.0)])
    audit = check(Reading({"one": one, "two": two}), 0.0)
    assert audit.counts() == {"across": 1, "dev-test": 1}
    (across, test) = audit.findings
    assert (across.place, across.source, across.others) == ("dev:2", "two train", ("train:2",))
    assert (test.split, test.place, test.source, test.others) == ("test", "test:2", "one dev", ("dev:3",))
    assert audit.report()["train_in_train"] == [{"tasks": ["one", "two"], "rows": [1, 1]}]


def test_what_stands_in_select_is_no_reason_to_fail() -> None:
    task = data(TOPIC, train=[("a", 0)], dev=[("b", 0)], select=[("A", 1)])
    assert check(Reading({"one": task}), 0.0).counts() == {"select": 1}
