"""Separated columns: .csv, .tsv and their kin."""

import csv
from collections.abc import Iterator
from typing import Literal

from pydantic import field_validator

from minbert.errors import DataError
from minbert.text.format import REPAIR, TOO_LONG, Format
from minbert.text.lines import CELL, Fault, Lines, Row
from minbert.values import nearest

AHEAD = 50
"""How many lines a row may have that is looked for behind a broken one."""


class Separated(Format):
    """A header line and rows of cells.

    Args:
        separator: the one character between cells.
        quoted: True if a cell that holds separators, quotes or line breaks stands in double quotes, with the
            quotes inside it doubled; False if a double quote is a character like any other.
        encoding: of the text.
    """

    kind: Literal["csv"] = "csv"
    separator: str = ","
    quoted: bool = True

    @field_validator("separator")
    @classmethod
    def _one(cls, separator: str) -> str:
        if len(separator) != 1 or separator in '"\r\n\0':
            raise ValueError(f"expected one character that is no quote and no line end, found {separator!r}")
        return separator

    def names(self, lines: Lines) -> list[str]:
        """The cells of the header line, stripped; the lines then stand at the first row."""
        first = next(self._cut(lines, 0), None)
        if first is None:
            raise DataError(f"{lines.path}: expected a header line and rows, found an empty file")
        fault = first if isinstance(first, Fault) else lines.spoil()
        if fault is not None:
            raise DataError(str(fault))
        names = [] if isinstance(first, Fault) else [cell.strip() for cell in first[1]]
        if not any(names):
            problem = "expected a header line with the names of the columns, found none; add one at the top"
            raise DataError(str(lines.fault(problem)))
        return names

    def rows(
        self, lines: Lines, columns: tuple[str, ...], label: str | None, keep: tuple[str, ...] = ()
    ) -> Iterator[Row | Fault]:
        """The cells asked for of every row."""
        names = self.names(lines)
        wanted = (*columns, *(() if label is None else (label,)), *keep)
        self._check(lines, names, wanted)
        places = [names.index(name) for name in wanted]
        for row in self.cells(lines, len(names)):
            if isinstance(row, Fault):
                yield row
            else:
                line, cells = row
                yield line, [cells[place] for place in places] if cells else []

    def cells(self, lines: Lines, width: int) -> Iterator[Row | Fault]:
        """Every row below the header with all its cells, which are `width` in number."""
        for row in self._cut(lines, width):
            if isinstance(row, Fault):
                yield row
                continue
            line, cells = row
            if lines.spoiled and (fault := lines.spoil()):
                yield fault
            elif len(cells) <= 1 and not lines.raw():
                yield line, []
            elif len(cells) != width:
                yield lines.fault(f"expected {width} columns, found {len(cells)}; {self._ragged(cells, width)}")
            elif lines.size > CELL and any(len(cell) > CELL for cell in cells):
                yield lines.fault(TOO_LONG)
            else:
                yield row

    def _cut(self, lines: Lines, width: int) -> Iterator[Row | Fault]:
        """Lines to cells."""
        return self._quoted(lines, width) if self.quoted else self._unquoted(lines)

    def _unquoted(self, lines: Lines) -> Iterator[Row | Fault]:
        """Every line is a row, cut at the separators."""
        start = lines.begin()
        for line in lines:
            yield start, line.removesuffix("\n").removesuffix("\r").split(self.separator)
            start = lines.begin()

    def _quoted(self, lines: Lines, width: int) -> Iterator[Row | Fault]:
        """Every row by the rules of quoting; after a broken row, goes on with the next plausible one."""
        # The limit belongs to the whole process: it is raised where it is too low for us, and never lowered.
        csv.field_size_limit(max(csv.field_size_limit(), CELL))
        reader = csv.reader(lines, delimiter=self.separator, strict=True)
        while True:
            start = lines.begin()
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                problem = self._problem(lines, error)
                self._leave(lines, width)
                yield lines.fault(problem)
                continue
            if width and len(cells) != width and len(lines.taken) > 1:
                found = f"{len(cells)} over {len(lines.taken)} lines"
                problem = f"expected {width} columns, found {found}; {self._quotes()}"
                self._leave(lines, width)
                yield lines.fault(problem)
                continue
            yield start, cells

    def _leave(self, lines: Lines, width: int) -> None:
        """Hands back what a broken row swallowed, from the next line on that looks like a row."""
        taken = lines.taken
        for keep in range(1, len(taken)):
            # Enough separators make a row even if its own quotes are broken: it then gets its own fault.
            full = taken[keep].count(self.separator) >= width - 1
            if full or self._fits(taken[keep : keep + AHEAD], width):
                lines.give_back(len(taken) - keep)
                return

    def _fits(self, lines: list[str], width: int) -> bool:
        """Whether a row of the right width starts here."""
        try:
            return len(next(csv.reader(lines, delimiter=self.separator, strict=True))) == width
        except csv.Error:
            return False

    def _problem(self, lines: Lines, error: csv.Error) -> str:
        """What is wrong with a row that the csv module refuses."""
        if len(lines.taken) == 1 and lines.size > CELL:
            return TOO_LONG
        if "new-line" in str(error):
            return f"expected lines that end in a line feed, found a carriage return inside one; {REPAIR}"
        return f"expected balanced quotes, found one that is not closed where its cell ends; {self._quotes()}"

    def _ragged(self, cells: list[str], width: int) -> str:
        """The remedy for a wrong number of cells."""
        if len(cells) < width:
            return REPAIR
        inside = "quote a text that holds" if self.quoted else "no text may hold"
        return f"{inside} {self.separator!r}: {REPAIR}"

    def _quotes(self) -> str:
        """The remedy for broken quotes."""
        plain = self.model_copy(update={"quoted": False}).in_recipe()
        return f"double the quotes inside a quoted text, or if the file does not quote write format = {plain}"

    def _check(self, lines: Lines, names: list[str], wanted: tuple[str, ...]) -> None:
        """Refuses a header that lacks a column or has it twice, naming all such columns."""
        known = [name for name in names if name]
        missing = [name for name in wanted if name not in names]
        other = next((mark for mark in "\t;,|" if len(names) == 1 and mark in names[0]), None)
        if missing and other:
            right = self.model_copy(update={"separator": other}).in_recipe()
            found = f"found one column that holds {other!r}; write format = {right}"
            raise DataError(str(lines.fault(f"expected the columns {', '.join(wanted)}, {found}")))
        hint = ""
        if any(len(name) > 60 or name.replace(".", "", 1).isdecimal() for name in known):
            hint = "; if line 1 is a row already, add a header line above it"
        problems = [f"expected a column {name!r}, found none; {nearest(name, known)}{hint}" for name in missing]
        for name in wanted:
            if names.count(name) > 1:
                problems.append(f"expected one column {name!r}, found {names.count(name)}; rename the others")
        if problems:
            raise DataError([str(lines.fault(problem)) for problem in problems])
