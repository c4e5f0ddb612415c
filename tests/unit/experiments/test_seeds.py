"""Seeds as a person writes them."""

import pytest

from minbert.experiments import parse_seeds


@pytest.mark.parametrize(
    ("given", "seeds"),
    [
        ("0-4", [0, 1, 2, 3, 4]),
        ("7", [7]),
        ("0, 2,5-7", [0, 2, 5, 6, 7]),
        ("3-3", [3]),
        (4, [4]),
        ([0, 9], [0, 9]),
        ({"a": 1}, {"a": 1}),
    ],
)
def test_seeds(given: object, seeds: object) -> None:
    assert parse_seeds(given) == seeds


@pytest.mark.parametrize("given", ["", "4-0", "a", "-1", "1-", "0,,1", "0--2", "1.5", "²"])
def test_other_texts_are_refused(given: str) -> None:
    with pytest.raises(ValueError, match="expected seeds such as 0-4 or 0,2,5, found"):
        parse_seeds(given)


@pytest.mark.parametrize("given", ["0,0", "0-3,2", [1, 1]])
def test_a_seed_stands_once(given: object) -> None:
    with pytest.raises(ValueError, match="expected each seed once"):
        parse_seeds(given)


@pytest.mark.parametrize("given", ["0-1000", "0-99999999999"])
def test_there_is_an_end(given: str) -> None:
    with pytest.raises(ValueError, match="expected at most 1,000 seeds"):
        parse_seeds(given)
