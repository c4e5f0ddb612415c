"""From a data file to examples: strict, streaming, every fault named with its line and what to do.

Nothing is guessed and nothing is dropped in silence: a row is an `Example` or a fault.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, closing
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

from minbert.errors import DataError
from minbert.storage import atomic_file
from minbert.text.example import Example
from minbert.text.format import Format
from minbert.text.json_lines import JsonLines
from minbert.text.lines import Fault, Lines
from minbert.text.separated import Separated
from minbert.values import Family

__all__ = [
    "AnyFormat",
    "Format",
    "JsonLines",
    "Separated",
    "checked",
    "collected",
    "examples",
    "format_of",
    "header",
    "read",
    "sifted",
]

AnyFormat = Annotated[Format, Family(Separated, JsonLines)]
"""A field that takes a format: a name or table in a recipe, an instance from Python."""

MOST_FAULTS = 10_000
"""After so many faults reading stops: the file is another than was meant."""

SUFFIXES: dict[str, Format] = {
    ".csv": Separated(),
    ".tsv": Separated(separator="\t", quoted=False),
    ".jsonl": JsonLines(),
    ".ndjson": JsonLines(),
}
"""What a suffix says about the format."""


def format_of(path: Path, given: Format | None = None) -> Format:
    """The format of a file: the one that was given, else by its suffix.

    Raises:
        DataError: if the suffix says nothing; the message holds what to write in the recipe.
    """
    suffix = path.suffix.lower()
    if given is None and suffix not in SUFFIXES:
        raise DataError(
            f"{path}: expected a file ending in {', '.join(SUFFIXES)}, found {suffix or 'no suffix'}; say in "
            f"the recipe how it is written, for example format = {SUFFIXES['.tsv'].in_recipe()}"
        )
    return given or SUFFIXES[suffix]


def header(path: Path, format: Format | None = None) -> list[str]:
    """The names of the columns; of JSON lines, the keys of the first object.

    Raises:
        DataError: if the file is missing, empty or has no header that can be read.
    """
    how = format_of(path, format)
    with closing(Lines(path, how.encoding)) as lines:
        return how.names(lines)


def read(
    path: Path,
    columns: tuple[str, ...],
    label: str | None,
    format: Format | None = None,
    skip_bad: Path | None = None,
    skipped: Callable[[int], None] = lambda count: None,
) -> list[Example]:
    """All examples of a file.

    Args:
        path: the file; messages name it as given here.
        columns: one text column or two.
        label: the column of the label, or None if the file need not have one.
        format: how the file is written; by default its suffix says so.
        skip_bad: where to write bad rows as JSON lines (file, line, fault, row) instead of stopping. It is
            written whole or not at all, and only if there are bad rows.
        skipped: hears how many bad rows were written there.

    Raises:
        DataError: every fault of the file at once, each as `file:line: expected ..., found ...; remedy`.
    """
    return collected(examples(path, columns, label, format), path, skip_bad, skipped)


def collected(
    found: Iterable[Example | Fault],
    path: Path,
    skip_bad: Path | None = None,
    skipped: Callable[[int], None] = lambda count: None,
) -> list[Example]:
    """All examples among rows; arguments and faults as for `read`."""
    if skip_bad is not None:
        return list(sifted(found, path, skip_bad, skipped))
    good: list[Example] = []
    faults: list[str] = []
    for row in found:
        if isinstance(row, Example):
            good.append(row)
        else:
            faults.append(str(row))
            if len(faults) == MOST_FAULTS:
                break
    if faults:
        raise DataError(faults)
    return good


def checked(found: Iterable[Example | Fault]) -> None:
    """Looks through all rows, in bounded memory; raises as `read` does."""
    faults = [str(row) for row in islice((row for row in found if isinstance(row, Fault)), MOST_FAULTS)]
    if faults:
        raise DataError(faults)


def sifted(
    found: Iterable[Example | Fault],
    path: Path,
    skip_bad: Path | None = None,
    skipped: Callable[[int], None] = lambda count: None,
) -> Iterator[Example]:
    """The examples among rows one by one, in bounded memory; arguments as for `read`.

    The file of bad rows appears when the last row has been read.

    Raises:
        DataError: at the first fault, unless bad rows are skipped; if no good row is left.
    """
    if skip_bad is not None and skip_bad.resolve() == path.resolve():
        raise DataError(f"{skip_bad}: expected another file for the bad rows than the data; name a new one")
    good = bad = 0
    with ExitStack() as stack:
        rejects = None
        for row in found:
            if isinstance(row, Example):
                good += 1
                yield row
                continue
            if skip_bad is None:
                raise DataError(str(row))
            bad += 1
            rejects = rejects or stack.enter_context(atomic_file(skip_bad))
            rejects.write(row.rejected())
    if bad and not good:
        raise DataError(f"{path}: expected at least one good row, found only bad ones; see {skip_bad}")
    skipped(bad)


def examples(
    path: Path,
    columns: tuple[str, ...],
    label: str | None,
    format: Format | None = None,
    keep: tuple[str, ...] = (),
) -> Generator[Example | Fault, None, None]:
    """Every row of a file, as an example or as a fault; arguments as for `read`.

    Args:
        path: the file.
        columns: one text column or two.
        label: the column of the label, or None.
        format: how the file is written.
        keep: other columns, whose cells the examples shall hold as they stand.

    Raises:
        DataError: the file cannot be read, has no rows or lacks a column.
    """
    format = format_of(path, format)
    wanted = columns if label is None else (*columns, label)
    if len(set(wanted)) < len(wanted):
        found = ", ".join(wanted)
        raise DataError(f"{path}: expected different columns for texts and label, found {found}; name each once")
    empty: list[int] = []
    rows = 0
    with closing(Lines(path, format.encoding)) as lines:
        for row in format.rows(lines, columns, label, keep):
            rows += 1
            if not isinstance(row, Fault) and not row[1]:
                # Empty lines at the end of a file are no fault.
                empty.append(row[0])
                continue
            for line in empty:
                yield Fault(path, line, "expected a row, found an empty line; remove it", "")
            empty.clear()
            yield row if isinstance(row, Fault) else _example(lines, row[0], row[1], columns, label)
    if rows == len(empty):
        raise DataError(f"{path}: expected rows, found none; is this the right file?")


def _example(lines: Lines, line: int, cells: list[Any], columns: tuple[str, ...], label: str | None) -> Example | Fault:
    """One row as an example, unless a text or the label is empty."""
    count = len(columns)
    for name, text in zip(columns, cells, strict=False):
        if not text or text.isspace():
            return lines.fault(f"expected a text in {name!r}, found an empty cell; {_refill(cells)}")
    if label is None:
        return Example(tuple(cells[:count]), None, line, tuple(cells[count:]))
    answer = cells[count].strip()
    if not answer:
        return lines.fault(f"expected a label in {label!r}, found an empty cell; {_refill(cells)}")
    return Example(tuple(cells[:count]), answer, line, tuple(cells[count + 1 :]))


def _refill(cells: list[Any]) -> str:
    """The remedy for an empty cell."""
    if any(cell.count('"') % 2 for cell in cells if isinstance(cell, str)):
        return "an unbalanced quote in another cell may have swallowed it: repair the row or skip it"
    return "fill it or remove the row"
