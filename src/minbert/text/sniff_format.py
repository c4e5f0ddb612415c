"""Guessing how a file is written: its encoding, its separator, its quotes."""

import codecs
from collections.abc import Callable
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path

from minbert.errors import DataError
from minbert.text.example import Example
from minbert.text.format import Format
from minbert.text.json_lines import JsonLines
from minbert.text.lines import Fault, Lines, Row, opened
from minbert.text.readers import SUFFIXES, examples
from minbert.text.separated import Separated

BYTES = 4 << 20
"""How much of the file is tried for its encoding."""
ROWS = 1_000
"""How many rows are tried with each separator."""
GOOD = 0.95
"""The share of rows that must have the right number of cells."""


FIRST = 20
"""Rows that are looked at to see whether a format fits."""


def fitting(
    path: Path,
    columns: tuple[str, ...],
    label: str | None,
    format: Format | None,
    say: Callable[[str], None] = lambda line: None,
) -> Format | None:
    """How a new file is written that has a run's columns: as the run's own files, as its suffix says, or otherwise.

    Args:
        path: the file. A pipe is read once, so it has to be in the run's format.
        columns: one text column or two.
        label: the column of the label, or None.
        format: of the run's own files; None: as their suffix says.
        say: hears of a format that had to be guessed.

    Returns:
        The first of these in which a row can be read; where none can, the run's own, whose faults are then told.
    """
    default = SUFFIXES.get(path.suffix.lower())
    if not path.is_file() or _fits(path, columns, label, format or default):
        return format
    if format is not None and _fits(path, columns, label, default):
        return default
    with suppress(DataError):
        guessed = sniff_format(path)
        if _fits(path, columns, label, guessed):
            say(f"{path}: read as {guessed.in_recipe()}")
            return guessed
    return format


def _fits(path: Path, columns: tuple[str, ...], label: str | None, format: Format | None) -> bool:
    """Whether one of the first rows can be read so."""
    try:
        with closing(examples(path, columns, label, format)) as rows:
            return any(isinstance(row, Example) for row in islice(rows, FIRST))
    except DataError:
        return False


def sniff_format(path: Path) -> Format:
    """The format that fits a file: that of its suffix if it does, else the one that fits most rows.

    Raises:
        DataError: if the file is missing or empty, or no separator fits.
    """
    encoding = _encoding(path)
    default = SUFFIXES.get(path.suffix.lower())
    with closing(Lines(path, encoding)) as lines:
        if isinstance(default, JsonLines) or next(lines, "").lstrip().startswith("{"):
            return JsonLines(encoding=encoding)
    plain = default if isinstance(default, Separated) else Separated()
    choices = [
        Separated(separator=separator, quoted=quoted, encoding=encoding)
        for separator in dict.fromkeys([plain.separator, "\t", ";", ",", "|"])
        for quoted in (plain.quoted, not plain.quoted)
    ]
    return _chosen(path, choices)


def _chosen(path: Path, choices: list[Separated]) -> Separated:
    """The first choice if it fits well, else the first of the best."""
    share = _share(path, choices[0])
    best = choices[0]
    if share < GOOD:
        shares = [share] + [_share(path, choice) for choice in choices[1:]]
        share = max(shares)
        best = choices[shares.index(share)]
    if not share:
        marks = ", ".join(dict.fromkeys(repr(choice.separator) for choice in choices))
        raise DataError(
            f"{path}: expected a header line and rows of two columns or more, found none with the separators {marks}; "
            "check the file, or write the task into the recipe by hand"
        )
    if best.quoted:
        return best
    quoted = best.model_copy(update={"quoted": True})
    return quoted if _share(path, quoted) > share or _doubles_quotes(path, best) else best


def _encoding(path: Path) -> str:
    """What the byte order mark says, else UTF-8 if that can be read, else the western encoding of Windows."""
    file, marked = opened(path)
    with file:
        sample = file.read(BYTES)
    if marked:
        return marked
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def _sample(path: Path, choice: Separated) -> tuple[int, list[Row | Fault]]:
    """How many columns the header has and the first rows."""
    with closing(Lines(path, choice.encoding)) as lines:
        width = len(choice.names(lines))
        return width, list(islice(choice.cells(lines, width), ROWS))


def _share(path: Path, choice: Separated) -> float:
    """The share of rows that the format fits; 0 if it gives one column only."""
    try:
        width, rows = _sample(path, choice)
    except DataError:
        return 0.0
    good = sum(not isinstance(row, Fault) for row in rows)
    return good / len(rows) if rows and width > 1 else 0.0


def _doubles_quotes(path: Path, choice: Separated) -> bool:
    """Whether cells read as they stand look quoted: wrapped in two quotes, and the quotes inside doubled."""
    rows = _sample(path, choice)[1]
    cells = [cell for row in rows if not isinstance(row, Fault) for cell in row[1] if '"' in cell]
    inner = [cell[1:-1] for cell in cells if len(cell) > 1 and cell[0] == cell[-1] == '"']
    if len(inner) < len(cells) or any('"' in text.replace('""', "") for text in inner):
        return False
    return any('""' in text for text in inner) or len(inner) >= len(rows) > 0
