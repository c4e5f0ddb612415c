"""Seeds as a person writes them: `0-4`, `0,2,5`, or a list."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

MOST = 1000
"""More seeds than this are a slip of the pen."""


def parse_seeds(given: Any) -> Any:
    """`"0-4"` or `"0,2,5-7"` as numbers; one number as a list of one; anything else as it is.

    Raises:
        ValueError: a text of another form, a seed that stands twice, or more than 1,000 of them.
    """
    if isinstance(given, str):
        given = [seed for part in given.split(",") for seed in _span(part.strip(), given)]
    seeds = [given] if isinstance(given, int) else given
    if isinstance(seeds, list) and len(set(map(str, seeds))) < len(seeds):
        raise ValueError(f"expected each seed once, found {', '.join(map(str, seeds)):.60}")
    if isinstance(seeds, list) and len(seeds) > MOST:
        raise ValueError(f"expected at most {MOST:,} seeds, found {len(seeds):,}")
    return seeds


def _span(part: str, whole: str) -> range:
    """The numbers of `3` or `0-4`."""
    first, sign, last = part.partition("-")
    ends = (first, last if sign else first)
    if not all(end.isascii() and end.isdigit() for end in ends) or int(ends[1]) < int(ends[0]):
        raise ValueError(f"expected seeds such as 0-4 or 0,2,5, found {whole!r}")
    return range(int(ends[0]), min(int(ends[1]), int(ends[0]) + MOST) + 1)


Seeds = Annotated[tuple[Annotated[int, Field(ge=0)], ...], BeforeValidator(parse_seeds), Field(min_length=1)]
