"""Held-out shares and leaks, on made rows and on the real data."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minbert.tasks.leaks import exact, transitive
from minbert.tasks.splits import components, hold_out, strata_of
from minbert.text.readers import read

Pairs = list[tuple[str, str]]
PAIR = ("sentence1", "sentence2")


def columns(rows: Pairs) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return tuple(a for a, _ in rows), tuple(b for _, b in rows)


@given(st.lists(st.tuples(st.integers(0, 25), st.integers(0, 25)), min_size=20, max_size=80), st.integers(0, 9))
def test_no_text_stands_on_both_sides(numbers: list[tuple[int, int]], seed: int) -> None:
    rows = columns([(str(a), str(b)) for a, b in numbers])
    held, share = hold_out(rows, torch.arange(len(numbers)) % 2, 0.2, seed, "task")
    inside = {text for column in rows for text, chosen in zip(column, held, strict=True) if chosen}
    outside = {text for column in rows for text, chosen in zip(column, held, strict=True) if not chosen}
    assert not inside & outside
    assert share <= 0.3


@settings(deadline=None)
@given(
    share=st.floats(0.05, 0.6),
    counts=st.lists(st.integers(1, 120), min_size=2, max_size=5),
    seed=st.integers(0, 9),
)
def test_where_nothing_hangs_together_every_class_gives_its_share(share: float, counts: list[int], seed: int) -> None:
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    held, got = hold_out([[str(i) for i in range(len(labels))]], labels, share, seed, "task")
    for number, count in enumerate(counts):
        mine = int(held[labels.numpy() == number].sum())
        assert abs(mine - share * count) <= 1 and mine < max(count, 2)
    assert got == held.mean()


@pytest.mark.parametrize("seed", range(10))
def test_small_components_still_give_the_share_of_each_class(seed: int) -> None:
    # Rows hang together by their first text, about two by two.
    numbers = np.random.default_rng(seed).integers(0, 60, 120).tolist()
    labels = torch.arange(120) % 2
    held, share = hold_out(columns([(f"a{n}", f"b{i}") for i, n in enumerate(numbers)]), labels, 0.2, seed, "task")
    assert 0.18 <= share <= 0.2
    assert all(10 <= held[labels.numpy() == kind].sum() <= 12 for kind in (0, 1))


def test_the_choice_is_that_of_seed_and_names() -> None:
    texts, labels = [[str(i) for i in range(50)]], torch.arange(50) % 2
    held = [
        hold_out(texts, labels, 0.2, seed, name)[0].tolist() for seed, name in ((0, "a"), (0, "a"), (1, "a"), (0, "b"))
    ]
    assert held[0] == held[1] and held[0] not in held[2:]


def test_ratings_are_kept_by_fifths() -> None:
    ratings = torch.linspace(0, 5, 101)
    assert np.bincount(strata_of(ratings)).tolist() == [21, 20, 20, 20, 20]
    assert strata_of(torch.tensor([2.0, 0.0, 4.0, 0.0])).tolist() == [1, 0, 2, 0]
    held, _ = hold_out([[str(i) for i in range(101)]], ratings, 0.2, 0, "task")
    assert np.bincount(strata_of(ratings)[held]).tolist() == [4, 4, 4, 4, 4]


def test_rows_hang_together_through_other_rows() -> None:
    found = components(columns([("a", "b"), ("c", "d"), ("b", "c"), ("e", "f")]))
    assert found[0] == found[1] == found[2] != found[3]


def test_transitive_pairs_are_found_in_either_order() -> None:
    train = columns([("a", "b"), ("b", "c"), ("c", "d")])
    dev = columns([("c", "a"), ("a", "d"), ("b", "a")])
    yes, train_yes = np.array([True, True, True]), np.array([True, True, False])
    assert transitive(dev, yes, train, train_yes).tolist() == [True, False, True]
    assert exact(dev, train).tolist() == [False, False, True]


def pairs(path: Path, label: str) -> tuple[tuple[tuple[str, ...], ...], np.ndarray]:  # type: ignore[type-arg]
    rows = read(path, PAIR, label)
    texts = tuple(tuple(row.texts[i] for row in rows) for i in range(2))
    return texts, np.array([row.label == "1" for row in rows])


@pytest.fixture(scope="module")
def quora(data: Path) -> tuple[tuple[tuple[str, ...], ...], np.ndarray]:  # type: ignore[type-arg]
    return pairs(data / "quora/train.tsv", "is_duplicate")


def test_the_known_leaks_of_the_real_data(data: Path, quora: Any) -> None:
    train, train_yes = quora
    dev, dev_yes = pairs(data / "quora/dev.tsv", "is_duplicate")
    assert int(dev_yes.sum()) == 7585
    assert int(transitive(dev, dev_yes, train, train_yes).sum()) == 2010
    more, _ = pairs(data / "quora/more-duplicates.tsv", "is_duplicate")
    both = tuple(a + b for a, b in zip(train, more, strict=True))
    yes = np.concatenate([train_yes, np.ones(len(more[0]), dtype=bool)])
    assert int(transitive(dev, dev_yes, both, yes).sum()) == 3798
    sts = [pairs(data / f"sts/{split}.tsv", "similarity")[0] for split in ("dev", "train")]
    # 16 stand there letter for letter; two more differ in an apostrophe and in angle brackets.
    assert int(exact(*sts).sum()) == 18
    by_letter = [[frozenset(row) for row in zip(*split, strict=True)] for split in sts]
    assert len(sts[0][0]) == 863 and sum(map(set(by_letter[1]).__contains__, by_letter[0])) == 16
    sst = [[row.texts[0] for row in read(data / f"sst/{s}.tsv", ("sentence",), None)] for s in ("dev", "train")]
    assert int(exact([sst[0]], [sst[1]]).sum()) == 3


def test_a_share_of_quora_shares_no_question_with_the_rest(quora: Any) -> None:
    rows, yes = quora
    held, share = hold_out(rows, torch.from_numpy(yes.astype(np.int64)), 0.1, 0, "paraphrase")
    inside = {text for column in rows for text, chosen in zip(column, held, strict=True) if chosen}
    assert not any(text in inside for column in rows for text, h in zip(column, held, strict=True) if not h)
    assert 0.09 < share < 0.101
    assert abs(float(yes[held].mean()) - float(yes.mean())) < 0.005
