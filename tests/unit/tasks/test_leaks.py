"""Dev rows whose answer train gives away, on made rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minbert.tasks.leaks import exact, plain_rows, transitive

Pair = tuple[str, str]


def columns(rows: list[Pair]) -> list[list[str]]:
    return [[row[i] for row in rows] for i in range(2)]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("A film.", "a film", True),
        ("well-made", "Well  made!", True),
        ("Straße", "STRASSE", True),
        ("?!", "...", False),
        ("?!", "?!", True),
        ("a film", "a films", False),
        ("good, not bad", "bad, not good", False),
    ],
)
def test_texts_are_the_same_by_their_words(one: str, other: str, same: bool) -> None:
    assert exact([[one]], [[other]]).tolist() == [same]


def test_a_pair_leaks_in_either_order_but_not_by_one_text() -> None:
    train = columns([("a", "b"), ("c", "c")])
    assert exact(columns([("b", "a"), ("a", "a"), ("a", "c"), ("c", "c")]), train).tolist() == [
        True,
        False,
        False,
        True,
    ]


def test_plain_rows_keep_order_and_number() -> None:
    assert plain_rows([["A!", "b"], ["C", "d."]]) == [("a", "c"), ("b", "d")]


def test_only_positive_pairs_of_dev_follow_and_only_from_positive_pairs_of_train() -> None:
    train = columns([("a", "b"), ("b", "c"), ("c", "d")])
    dev = columns([("a", "c"), ("a", "c"), ("a", "d")])
    yes = np.array([True, False, True])
    assert transitive(dev, yes, train, np.array([True, True, False])).tolist() == [True, False, False]
    assert transitive(dev, yes, train, np.array([True, True, True])).tolist() == [True, False, True]
    assert not transitive(dev, yes, train, np.zeros(3, dtype=bool)).any()


letters = st.sampled_from("abcdefgh")
rows = st.lists(st.tuples(letters, letters), min_size=1, max_size=8)


@settings(deadline=None)
@given(train=rows, dev=rows)
def test_what_follows_is_what_a_walk_along_duplicates_reaches(train: list[Pair], dev: list[Pair]) -> None:
    def reached(start: str) -> set[str]:
        seen = {start}
        for _ in train:
            seen |= {b for a, b in [*train, *[(b, a) for a, b in train]] if a in seen}
        return seen

    known = {text for row in train for text in row}
    expected = [a in known and b in reached(a) for a, b in dev]
    yes, train_yes = np.ones(len(dev), dtype=bool), np.ones(len(train), dtype=bool)
    assert transitive(columns(dev), yes, columns(train), train_yes).tolist() == expected


@settings(deadline=None)
@given(train=rows, dev=rows)
def test_an_exact_positive_pair_follows_too(train: list[Pair], dev: list[Pair]) -> None:
    yes, train_yes = np.ones(len(dev), dtype=bool), np.ones(len(train), dtype=bool)
    found = transitive(columns(dev), yes, columns(train), train_yes)
    assert found[exact(columns(dev), columns(train))].all()
