"""One seed, many named streams."""

import hashlib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minbert.randomness import derive, generator

names = st.lists(st.from_regex(r"[A-Za-z][\w-]{0,8}", fullmatch=True) | st.integers(0, 999), max_size=4)
seeds = st.integers(0, 2**40)


def test_the_seed_of_a_stream_is_the_first_63_bits_of_a_digest() -> None:
    digest = hashlib.sha256(b"7\x1ftrain\x1f3").hexdigest()
    assert derive(7, "train", 3) == int(digest[:16], 16) >> 1


def test_it_is_the_same_on_every_machine_and_in_every_version() -> None:
    assert [derive(0), derive(0, "a"), derive(1, "stage", 2)] == [
        int(hashlib.sha256(text).hexdigest()[:16], 16) // 2 for text in (b"0", b"0\x1fa", b"1\x1fstage\x1f2")
    ]


@settings(deadline=None)
@given(seed=seeds, words=names)
def test_a_seed_fits_a_generator(seed: int, words: list[str | int]) -> None:
    assert 0 <= derive(seed, *words) < 2**63
    assert generator(seed, *words).initial_seed() == derive(seed, *words)


@settings(deadline=None)
@given(seed=seeds, words=names, other=st.tuples(seeds, names))
def test_other_names_are_another_stream(seed: int, words: list[str | int], other: tuple[int, list[str | int]]) -> None:
    same = (seed, [*map(str, words)]) == (other[0], [*map(str, other[1])])
    assert (derive(seed, *words) == derive(other[0], *other[1])) == same


@pytest.mark.parametrize(
    ("one", "other"), [(("ab", "c"), ("a", "bc")), (("a",), ("a", "")), ((1, 23), (12, 3)), ((), ("",))]
)
def test_where_a_name_ends_counts(one: tuple[str | int, ...], other: tuple[str | int, ...]) -> None:
    assert derive(0, *one) != derive(0, *other)


def test_a_stream_begins_anew_and_leaves_torchs_own_generator_alone() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first, second = (torch.rand(4, generator=generator(3, "x")) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, torch.rand(4, generator=generator(3, "y")))
    assert torch.equal(torch.get_rng_state(), before)
