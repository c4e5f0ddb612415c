"""The columns of a file, as far as its first rows show them: what guessing a task looks at."""

import math
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from minbert.text.format import Format
from minbert.text.json_lines import JsonLines
from minbert.text.lines import Fault, Lines
from minbert.text.separated import Separated

ROWS = 5_000
"""How many rows are looked at."""
MOST_CLASSES = 200
"""A column with more values than this is no column of classes."""

ID = re.compile(r"(?i:(^|[\W_])(id|idx|index|uuid|guid|unnamed)\d*([\W_]|$)|^[a-z]?id\d*$)|[a-z]I[dD]$")
"""What columns that number or name rows are called."""
LABEL = re.compile(
    r"label|class|categor|target|gold|sentiment|topic|intent|score|rating|similar|related|judg|stars|grade|entail"
    r"|duplicate|paraphrase|same|^is_|^y$",
    re.IGNORECASE,
)
"""What columns of labels are often called."""

DECIMAL_COMMA = re.compile(r"[+-]?\d+,(\d\d?|\d{4,})")
"""Three digits behind a comma are rather thousands."""


@dataclass(frozen=True)
class Column:
    """A column in the first rows of a file.

    Args:
        name: from the header.
        cells: stripped, in the order of the rows; an empty one for a row that has none.
    """

    name: str
    cells: list[str]

    @cached_property
    def counts(self) -> Counter[str]:
        """How often each value occurs, without empty cells."""
        return Counter(cell for cell in self.cells if cell)

    @cached_property
    def filled(self) -> int:
        """How many rows have a value."""
        return self.counts.total()

    @cached_property
    def numbers(self) -> list[float]:
        """The different finite numbers in ascending order, if nearly all values are numbers; else none."""
        found = {value: number_in(value) for value in self.counts}
        numeric = sum(self.counts[value] for value, number in found.items() if number is not None)
        if numeric < 0.95 * self.filled:
            return []
        return sorted({number for number in found.values() if number is not None})

    @cached_property
    def odd(self) -> list[str]:
        """The values that are no numbers."""
        return [value for value in self.counts if number_in(value) is None]

    @cached_property
    def commas(self) -> list[str]:
        """The values that are numbers with a decimal comma, where nearly all values are numbers."""
        return [value for value in self.counts if DECIMAL_COMMA.fullmatch(value)] if self.numbers else []

    @cached_property
    def whole(self) -> bool:
        """Whether its numbers have no decimals."""
        return all(number.is_integer() for number in self.numbers)

    @cached_property
    def variety(self) -> float:
        """Different values as a share of all."""
        return len(self.counts) / max(self.filled, 1)

    @cached_property
    def length(self) -> float:
        """Characters in the mean."""
        return sum(map(len, self.cells)) / max(self.filled, 1)

    @cached_property
    def words(self) -> float:
        """Words in the mean."""
        return sum(len(cell.split()) for cell in self.cells) / max(self.filled, 1)

    @cached_property
    def is_id(self) -> bool:
        """Whether it names rows: by its own name, as unique tokens, or as numbers of which no two are the same."""
        labelled = LABEL.search(self.name) is not None
        if ID.search(self.name):
            return self.variety > 0.5 or not labelled
        if self.numbers:
            return self.variety > 0.9 and self.whole and not labelled
        tokens = sum(count for value, count in self.counts.items() if value.isascii() and len(value.split()) == 1)
        return self.variety > 0.9 and tokens > 0.95 * self.filled

    @cached_property
    def is_text(self) -> bool:
        """Whether it holds sentences: several words or a script without spaces, and not the same few all the time."""
        if self.numbers or self.is_id or not self.filled:
            return False
        lettered = sum(count for value, count in self.counts.items() if re.search(r"[^\W\d_]{2}", value))
        spaceless = self.length >= 4 and not any(map(str.isascii, islice(self.counts, 50)))
        several = self.words >= 1.5 or spaceless
        return several and lettered > 0.5 * self.filled and (self.variety >= 0.3 or len(self.counts) > MOST_CLASSES)


def columns_of(path: Path, format: Format) -> tuple[list[Column], list[Fault]]:
    """The columns in the first rows that can be named, and the faults among these rows."""
    with closing(Lines(path, format.encoding)) as lines:
        rows = list(islice(_rows(lines, format), ROWS))
    faults = [row for row in rows if isinstance(row, Fault)]
    tables = [row for row in rows if not isinstance(row, Fault)]
    names = dict.fromkeys(name for table in tables for name in table)
    return [Column(name, [table.get(name, "") for table in tables]) for name in names if name], faults


def _rows(lines: Lines, format: Format) -> Iterator[dict[str, str] | Fault]:
    """Every row by the names of its columns; of columns with one name the last."""
    if isinstance(format, JsonLines):
        for _, found in format.objects(lines):
            if isinstance(found, Fault):
                yield found
            elif found:
                yield {name: _cell(value) for name, value in found.items()}
    elif isinstance(format, Separated):
        names = format.names(lines)
        for row in format.cells(lines, len(names)):
            if isinstance(row, Fault):
                yield row
            elif row[1]:
                yield dict(zip(names, map(str.strip, row[1]), strict=True))


def _cell(value: Any) -> str:
    """A value in JSON as a cell; nothing for a list, an object or null."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.strip() if isinstance(value, str) else ""


def number_in(value: str) -> float | None:
    """The finite number that a cell holds, also with a decimal comma."""
    try:
        number = float(value.replace(",", ".") if DECIMAL_COMMA.fullmatch(value) else value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
