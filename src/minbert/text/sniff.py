"""Guessing a task from a data file: which columns are texts, which is the label, what kind of label it is.

A guess is a draft for a recipe that a person reads: whatever could also be otherwise stands in the remarks.
"""

import itertools
import keyword
import math
import re
import textwrap
import unicodedata
from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from minbert.errors import DataError
from minbert.text.columns import LABEL, MOST_CLASSES, Column, columns_of, number_in
from minbert.text.format import Format
from minbert.text.json_lines import JsonLines
from minbert.text.lines import Fault, Lines
from minbert.text.readers import SUFFIXES
from minbert.text.sniff_format import sniff_format

__all__ = ["TaskGuess", "sniff", "sniff_format"]

MOST_GRADES = 6
"""More different numbers than this are a rating; so many whole numbers or fewer are classes."""

LONGEST_NAME = 60
"""A longer one in a header is rather a text."""

YES_NO = ({"false", "true"}, {"no", "yes"}, {"n", "y"}, {"f", "t"})
PAIRS = (
    {"1", "2"},
    {"0", "1"},
    {"a", "b"},
    {"x", "y"},
    {"left", "right"},
    {"first", "second"},
    {"premise", "hypothesis"},
    {"query", "passage"},
    {"question", "answer"},
    {"source", "target"},
)
"""What the names of two texts of a pair differ in."""
SPLIT = re.compile(r"(^|[\W_]+)(train|training|dev|valid|validation|val|test|data|all|full|student)$", re.IGNORECASE)

Kind = Literal["classes", "yes_no", "rating"]


@dataclass(frozen=True)
class TaskGuess:
    """A task as it may stand in a recipe.

    Args:
        name: from the name of the file, fit for a key.
        path: the file.
        kind: what the label is.
        text: one text column or two.
        label: the column of the label.
        range: of a rating, rounded out to whole numbers; else None.
        format: how the file is written, or None if its suffix says so.
        remarks: what was guessed and what it could be instead.
    """

    name: str
    path: Path
    kind: Kind
    text: tuple[str, ...]
    label: str
    range: tuple[int, int] | None
    format: Format | None
    remarks: tuple[str, ...]


class _Label(NamedTuple):
    column: Column
    kind: Kind
    range: tuple[int, int] | None


def sniff(path: Path, taken: Collection[str] = ()) -> TaskGuess:
    """Guesses the task that a file is for, from its first 5,000 rows.

    Args:
        path: a file with a header and labels.
        taken: names that other tasks have already.

    Raises:
        DataError: if there is no text column, no column that could be a label, or one of them twice.
    """
    format = sniff_format(path)
    columns, faults = columns_of(path, format)
    texts, remarks = _texts(path, columns)
    labels = _labels(path, columns, len(texts))
    label = labels[0]
    with closing(Lines(path, format.encoding)) as lines:
        # Refuses a column that the header names twice, as training would.
        next(format.rows(lines, tuple(column.name for column in texts), label.column.name), None)
    default = SUFFIXES.get(path.suffix.lower())
    if not isinstance(format, JsonLines):
        remarks = _about_header(columns) + remarks
    if format != default:
        remarks.append(f"the file does not follow its suffix: it seems to be written as {format.in_recipe()}")
    remarks += _about_rows([*texts, label.column], faults) + _about_label(label, len(texts))
    remarks += [_alternative(other) for other in labels[1:]]
    return TaskGuess(
        name=_name(path, taken),
        path=path,
        kind=label.kind,
        text=tuple(column.name for column in texts),
        label=label.column.name,
        range=label.range,
        format=None if format == default else format,
        remarks=tuple(remarks),
    )


def _texts(path: Path, columns: list[Column]) -> tuple[list[Column], list[str]]:
    """The one or two columns of texts, and what else they could be."""
    found = [column for column in columns if column.is_text]
    if not found:
        names = ", ".join(column.name for column in columns) or "none"
        raise DataError(
            f"{path}: expected a column of texts, found none among the columns {names}; "
            "write the task into the recipe by hand"
        )
    paired = [pair for pair in itertools.combinations(found, 2) if _is_pair(*pair)]
    remarks = []
    if paired:
        chosen = list(paired[0])
    elif len(found) == 2 and max(found[0].length, found[1].length) <= 2 * min(found[0].length, found[1].length):
        chosen = found
        remarks.append(
            f"{found[0].name!r} and {found[1].name!r} were taken for a pair: if only one is the text, name it"
        )
    else:
        chosen = [max(found, key=lambda column: column.length)]
    others = [column.name for column in found if column not in chosen]
    if others:
        remarks.append(f"`text` could also be: {', '.join(others)}")
    return chosen, remarks


def _is_pair(left: Column, right: Column) -> bool:
    """Whether two names differ in one part, as in sentence1 and sentence2 or premise and hypothesis."""
    names = [column.name.lower() if column.name.isupper() else column.name for column in (left, right)]
    parts = [re.findall(r"[a-z]+|[A-Z][a-z]*|\d+|[^\W\d_]+", name) for name in names]
    if len(parts[0]) != len(parts[1]):
        return False
    differ = [{one.lower(), two.lower()} for one, two in zip(*parts, strict=True) if one.lower() != two.lower()]
    return len(differ) == 1 and differ[0] in PAIRS


def _labels(path: Path, columns: list[Column], texts: int) -> list[_Label]:
    """The columns that could be the label, the likeliest first."""
    rest = [column for column in columns if not column.is_text and not column.is_id and column.filled]
    found = [label for column in rest if (label := _label(column, texts))]
    if not found:
        # A file of positives only, say, to go beside another file.
        found = [_Label(column, "yes_no", None) for column in rest if texts == 2 and column.numbers in ([0.0], [1.0])]
    if not found:
        names = ", ".join(column.name for column in rest) or "none besides texts and ids"
        raise DataError(
            f"{path}: expected a column of labels with two or more values, found {names}; "
            "add one, or write the task into the recipe by hand"
        )
    # By its name; then classes before numbers, of which a file may hold many kinds; then the last column.
    order = {id(column): place for place, column in enumerate(columns)}
    return sorted(
        found,
        key=lambda label: (
            LABEL.search(label.column.name) is None,
            label.kind == "rating",
            -order[id(label.column)],
        ),
    )


def _label(column: Column, texts: int) -> _Label | None:
    """What kind of label a column holds, if any."""
    values = {value.lower() for value in column.counts}
    if texts == 2 and ((column.numbers == [0.0, 1.0] and not column.odd) or values in YES_NO):
        return _Label(column, "yes_no", None)
    if column.numbers and (not column.whole or len(column.numbers) > MOST_GRADES):
        return _Label(column, "rating", (math.floor(column.numbers[0]), math.ceil(column.numbers[-1])))
    if 2 <= len(column.counts) <= min(MOST_CLASSES, max(2, column.filled // 2)):
        return _Label(column, "classes", None)
    return None


def _about_header(columns: list[Column]) -> list[str]:
    """Whether what was taken for the header looks like a row: a name is a number or a value, or as long as a text."""
    # One class may well be called like its column; beside a name that reads like a sentence it is none.
    worded = any(len(column.name.split()) > 2 for column in columns)
    for column in columns:
        number = column.numbers and number_in(column.name) is not None
        if number or (worded and column.name in column.counts) or len(column.name) > LONGEST_NAME:
            shown = textwrap.shorten(column.name, LONGEST_NAME, placeholder=" ...")
            return [
                f"line 1 was taken for the names of the columns, but {shown!r} looks like a value: if it is a row, "
                "add a header line above it"
            ]
    return []


def _about_label(label: _Label, texts: int) -> list[str]:
    """What to check about the label."""
    name, column = repr(label.column.name), label.column
    count = len(column.counts)
    remarks = []
    if column.commas:
        remarks.append(f"{name} holds decimal commas, {column.commas[0]!r}: write points, no other number is read")
    if label.range:
        remarks.append(f"the range {list(label.range)} was guessed from the data: check it")
        if column.odd:
            remarks.append(f"{name} holds values that are no numbers: {', '.join(column.odd[:3])}")
        if column.whole:
            remarks.append(f'{name} holds {count} whole numbers: if they name classes, write kind = "classes"')
    elif count == 1:
        remarks.append(f"{name} holds one value only: train needs both, here or in another file")
    elif column.numbers and count > 2:
        low, high = int(column.numbers[0]), int(column.numbers[-1])
        remarks.append(
            f"{name} holds {count} whole numbers, read as classes: if their order counts, "
            f'write kind = "rating", range = [{low}, {high}]'
        )
    elif label.kind == "classes" and count == 2 and texts == 2:
        first = next(iter(column.counts))
        remarks.append(
            f'{name} holds two values: if one means yes, write kind = "yes_no", yes = "{first}" or the other'
        )
    return remarks + (_about_spelling(name, column) if label.kind == "classes" else [])


def _about_spelling(name: str, column: Column) -> list[str]:
    """Classes that may be a slip of the pen."""
    alike = itertools.groupby(sorted(column.counts, key=str.casefold), key=str.casefold)
    twins = [same for _, values in alike if len(same := list(values)) > 1]
    remarks = [
        f"{name} holds {' and '.join(map(repr, same))}: if they are one class, write them alike" for same in twins
    ]
    once = [value for value, count in column.counts.items() if count == 1]
    if once and len(once) * 2 < len(column.counts):
        remarks.append(f"{name} holds {', '.join(map(repr, once[:3]))} once only: check that they are classes")
    return remarks


def _alternative(label: _Label) -> str:
    """Another column that could be the label."""
    bounds = f", range = {list(label.range)}" if label.range else ""
    return f'`label` could also be {label.column.name!r}, with kind = "{label.kind}"{bounds}'


def _about_rows(columns: list[Column], faults: list[Fault]) -> list[str]:
    """What to check about the rows: broken ones, empty cells, texts that were quoted twice."""
    remarks = []
    if faults:
        remarks.append(f"{len(faults):,} broken rows among the first ones: {faults[0]}")
    for column in columns:
        if empty := len(column.cells) - column.filled:
            remarks.append(f"{empty:,} of the first {len(column.cells):,} rows have nothing in {column.name!r}")
        twice = sum(cell[0] == cell[-1] == '"' and '""' in cell[1:-1] for cell in column.cells if cell)
        if twice:
            remarks.append(f'{twice:,} texts in {column.name!r} seem to be quoted twice: they hold "" for a quote')
    return remarks


def _name(path: Path, taken: Collection[str]) -> str:
    """A name for the task: that of the file without train, dev and the like, else that of its folder."""
    stem, before = path.stem, ""
    while stem != before:
        stem, before = SPLIT.sub("", stem), stem
    for given in (stem, path.resolve().parent.name, "task"):
        plain = unicodedata.normalize("NFKD", given).encode("ascii", "ignore").decode()
        name = re.sub(r"\W+", "_", plain).strip("_").lower()
        if name:
            break
    if not name.isidentifier() or keyword.iskeyword(name):
        name = f"task_{name}"
    for number in itertools.count(2):
        if name not in taken:
            break
        name = f"{name.removesuffix(f'_{number - 1}')}_{number}"
    return name
