"""Near texts against comparing each with each."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conftest import demo_rows

from minbert.audit import near
from minbert.audit.near import SHINGLE, near_texts
from minbert.tasks.leaks import plain
from minbert.text.readers import read


def brute(texts: list[str], left: list[int], right: list[int], threshold: float) -> set[tuple[int, int]]:
    padded = [f" {text} " for text in texts]
    sets = [{text[i : i + SHINGLE] for i in range(len(text) - SHINGLE + 1)} for text in padded]

    def near(one: set[str], other: set[str]) -> bool:
        return len(one & other) >= threshold * max(1, len(one | other)) - 1e-9

    return {(i, j) for i in left for j in right if i != j and near(sets[i], sets[j])}


def found(texts: list[str], left: list[int], right: list[int], threshold: float) -> set[tuple[int, int]]:
    pairs = near_texts(texts, np.array(left), np.array(right), threshold)
    listed = list(zip(*(side.tolist() for side in pairs), strict=True))
    assert len(set(listed)) == len(listed)
    return set(listed)


words = st.lists(st.sampled_from(["how", "do", "i", "cook", "rice", "well", "boil", "an", "egg"]), max_size=7)


@settings(deadline=None, max_examples=25)
@given(st.lists(words.map(" ".join), min_size=2, max_size=14, unique=True), st.sampled_from([0.6, 0.7, 0.8, 0.95, 1.0]))
def test_nothing_is_missed_and_nothing_is_added(texts: list[str], threshold: float) -> None:
    everything = list(range(len(texts)))
    assert found(texts, everything, everything[::2], threshold) == brute(texts, everything, everything[::2], threshold)


@pytest.mark.parametrize("threshold", [0.6, 0.8])
def test_real_questions_with_small_changes(threshold: float) -> None:
    texts = plain(row[0] for row in demo_rows("questions-train", 80)[1:])
    texts = list(dict.fromkeys([*texts, *(f"{text} please" for text in texts), *(text[2:].strip() for text in texts)]))
    left, right = list(range(0, len(texts), 2)), list(range(len(texts)))
    pairs = found(texts, left, right, threshold)
    assert pairs == brute(texts, left, right, threshold) and len(pairs) > 10


def test_blocks_do_not_change_what_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = plain(row[0] for row in demo_rows("sentences-train", 60)[1:])
    texts = list(dict.fromkeys([*texts, *(text + "s" for text in texts)]))
    everything = list(range(len(texts)))
    whole = found(texts, everything, everything, 0.7)
    monkeypatch.setattr(near, "CANDIDATES", 3)
    monkeypatch.setattr(near, "COMPARED", 2)
    done: list[int] = []
    near_texts(texts, np.array(everything), np.array(everything), 0.7, done.append)
    assert found(texts, everything, everything, 0.7) == whole and whole
    assert sum(done) == len(texts) and len(done) > 10


def test_texts_without_a_shingle_are_near_nothing() -> None:
    assert found(["a", "b", ""], [0, 1, 2], [0, 1, 2], 0.6) == set()


def test_the_recall_on_quora_is_whole(data: Path) -> None:
    rows = read(data / "quora/dev.tsv", ("sentence1", "sentence2"), None)[:500]
    texts = list(dict.fromkeys(plain(text for row in rows for text in row.texts)))
    left, right = list(range(0, len(texts), 3)), list(range(len(texts)))
    pairs = found(texts, left, right, 0.6)
    assert pairs == brute(texts, left, right, 0.6) and len(pairs) > 10
