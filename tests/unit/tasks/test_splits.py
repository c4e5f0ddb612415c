"""Held-out shares and leaks, on made rows and on the real data."""

from pathlib import Path

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from minbert.tasks.leaks import exact, transitive
from minbert.tasks.splits import components, hold_out
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


def test_the_known_leaks_of_the_real_data(data: Path) -> None:
    train, train_yes = pairs(data / "quora/train.tsv", "is_duplicate")
    dev, dev_yes = pairs(data / "quora/dev.tsv", "is_duplicate")
    assert int(dev_yes.sum()) == 7585
    assert int(transitive(dev, dev_yes, train, train_yes).sum()) == 2010
    more, _ = pairs(data / "quora/more-duplicates.tsv", "is_duplicate")
    both = tuple(a + b for a, b in zip(train, more, strict=True))
    yes = np.concatenate([train_yes, np.ones(len(more[0]), dtype=bool)])
    assert int(transitive(dev, dev_yes, both, yes).sum()) == 3798
    sts = [pairs(data / f"sts/{split}.tsv", "similarity")[0] for split in ("dev", "train")]
    # 16 stand there word for word; two more differ in a full stop.
    assert int(exact(*sts).sum()) == 18
    sst = [[row.texts[0] for row in read(data / f"sst/{s}.tsv", ("sentence",), None)] for s in ("dev", "train")]
    assert int(exact([sst[0]], [sst[1]]).sum()) == 3


def test_a_share_of_quora_shares_no_question_with_the_rest(data: Path) -> None:
    rows, yes = pairs(data / "quora/train.tsv", "is_duplicate")
    held, share = hold_out(rows, torch.from_numpy(yes.astype(np.int64)), 0.1, 0, "paraphrase")
    inside = {text for column in rows for text, chosen in zip(column, held, strict=True) if chosen}
    assert not any(text in inside for column in rows for text, h in zip(column, held, strict=True) if not h)
    assert 0.09 < share < 0.101
    assert abs(float(yes[held].mean()) - float(yes.mean())) < 0.005
