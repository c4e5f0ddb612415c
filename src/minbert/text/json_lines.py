"""JSON lines: one object a line."""

import json
from collections.abc import Iterator
from typing import Any, Literal

from minbert.errors import DataError
from minbert.text.format import REPAIR, TOO_LONG, Format
from minbert.text.lines import CELL, Fault, Lines, Row
from minbert.values import nearest

KINDS = {type(None): "null", bool: "true or false", list: "a list", dict: "an object"}


def _refuse(constant: str) -> None:
    """NaN and Infinity are no JSON, though Python reads them."""
    raise ValueError(f"{constant} is no JSON value")


# Numbers stay as they stand in the file: 1.0 is not 1, and a long number loses no digits.
DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_refuse)


class JsonLines(Format):
    """One JSON object a line; its keys are the columns.

    Args:
        encoding: of the text.
    """

    kind: Literal["jsonl"] = "jsonl"

    def names(self, lines: Lines) -> list[str]:
        """The keys of the first object; the lines then stand before it."""
        lines.begin()
        first = next(lines, None)
        if first is None:
            raise DataError(f"{lines.path}: expected one JSON object a line, found an empty file")
        found = self._object(lines, first)
        if isinstance(found, Fault):
            raise DataError(str(found))
        lines.give_back(1)
        return list(found)

    def rows(
        self, lines: Lines, columns: tuple[str, ...], label: str | None, keep: tuple[str, ...] = ()
    ) -> Iterator[Row | Fault]:
        """The values asked for of every object."""
        for line, found in self.objects(lines):
            if found is None:
                yield line, []
                continue
            row = found if isinstance(found, Fault) else self._picked(lines, found, columns, label)
            if keep and not isinstance(row, Fault):
                # Numbers as numbers: they go to another file.
                values = json.loads(lines.raw())
                row = line, [*row[1], *(values.get(name) for name in keep)]
            yield row

    def objects(self, lines: Lines) -> Iterator[tuple[int, dict[str, Any] | Fault | None]]:
        """Every line with its object; None for an empty line."""
        lines.begin()
        for line in lines:
            yield lines.number, None if line.isspace() else self._object(lines, line)
            lines.begin()

    def _picked(self, lines: Lines, found: dict[str, Any], columns: tuple[str, ...], label: str | None) -> Row | Fault:
        """The values asked for, numbers and truth values as they stand in the file."""
        values = []
        for name in columns if label is None else (*columns, label):
            if name not in found:
                return lines.fault(f"expected a key {name!r}, found none; {nearest(name, list(found))}")
            value = found[name]
            if isinstance(value, bool) and name == label:
                value = "true" if value else "false"
            if not isinstance(value, str):
                found_kind = KINDS[type(value)]
                return lines.fault(f"expected a string or a number in {name!r}, found {found_kind}; {REPAIR}")
            if wrong := _unfit(value):
                return lines.fault(f"expected text in {name!r}, found {wrong}; {REPAIR}")
            if len(value) > CELL:
                return lines.fault(TOO_LONG)
            values.append(value)
        return lines.number, values

    def _object(self, lines: Lines, line: str) -> dict[str, Any] | Fault:
        """The object on the line at hand."""
        if lines.spoiled and (fault := lines.spoil()):
            return fault
        if lines.number == 1 and line.lstrip().startswith("["):
            problem = "expected one JSON object a line, found a list; write each row on its own line"
            raise DataError(str(lines.fault(problem)))
        try:
            found = DECODER.decode(line)
        except (ValueError, RecursionError) as error:
            reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
            if isinstance(error, json.JSONDecodeError):
                reason = f"{error.msg} at column {error.colno}"
            return lines.fault(f"expected one JSON object, found broken JSON ({reason}); {REPAIR}")
        if isinstance(found, dict):
            return found
        return lines.fault(f"expected one JSON object, found another value; {REPAIR}")


def _unfit(value: str) -> str:
    """What an escape in JSON can smuggle in that is no text, if anything."""
    if "\0" in value:
        return "a NUL character"
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            return "half of a surrogate pair"
    return ""
