"""Chains of pairs that mean the same, and how to break them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minbert.audit.links import chains, without_chains
from minbert.tasks.leaks import linked

Pairs = list[tuple[int, int]]
SIZE = 9
rows = st.lists(st.tuples(st.integers(0, SIZE - 1), st.integers(0, SIZE - 1)), max_size=12)


def array(pairs: Pairs) -> np.ndarray:  # type: ignore[type-arg]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def follow(pairs: Pairs, links: Pairs) -> list[bool]:
    return linked(array(pairs), np.ones(len(pairs), dtype=bool), array(links), SIZE).tolist()


@pytest.mark.parametrize(
    ("pair", "expected"),
    [((0, 3), [3]), ((3, 0), [3]), ((0, 5), [6, 5]), ((5, 0), [5, 6]), ((1, 3), [0, 3]), ((4, 4), [])],
)
def test_a_chain_is_the_shortest_one(pair: tuple[int, int], expected: list[int]) -> None:
    links = [(0, 1), (2, 3), (2, 1), (3, 0), (1, 0), (4, 5), (0, 4)]
    (chain,) = chains(array([pair]), array(links))
    assert chain == expected


@settings(deadline=None)
@given(links=rows.filter(bool), pairs=rows)
def test_a_chain_leads_from_one_text_to_the_other(links: Pairs, pairs: Pairs) -> None:
    pairs = [pair for pair, follows in zip(pairs, follow(pairs, links), strict=True) if follows]
    for (a, b), chain in zip(pairs, chains(array(pairs), array(links)), strict=True):
        for row in chain:
            assert a in links[row]
            a = links[row][1] if links[row][0] == a else links[row][0]
        assert a == b


@settings(deadline=None)
@given(links=rows, pairs=rows)
def test_nothing_follows_and_no_more_could_be_kept(links: Pairs, pairs: Pairs) -> None:
    kept = without_chains(array(links), array(pairs)).tolist()
    rest = [link for link, stays in zip(links, kept, strict=True) if stays]
    assert not any(follow(pairs, rest))
    for row in (row for row, stays in enumerate(kept) if not stays):
        assert any(follow(pairs, [*rest, links[row]])), links[row]
