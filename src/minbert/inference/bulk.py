"""Prediction for files and pipes of any length, in bounded memory."""

import csv
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from minbert.errors import DataError
from minbert.inference.predictor import Predictor
from minbert.storage import atomic_file
from minbert.tasks import Task
from minbert.text.example import Example
from minbert.text.lines import Fault
from minbert.text.readers import examples
from minbert.text.sniff_format import fitting

CHUNK = 8192
"""Rows in memory at a time: enough to sort by length, little enough to hold."""

PIPE = Path("standard input")


def from_file(
    path: Path, task: Task, keep: Sequence[str] = (), say: Callable[[str], None] = lambda line: None
) -> Callable[[], Iterator[Example | Fault]]:
    """What reads the rows of a file that has the task's columns, with the cells of those to be kept.

    Args:
        path: the file.
        task: whose columns it has; a label need not be there.
        keep: other columns.
        say: hears of a format that had to be guessed.
    """
    format = fitting(path, task.text, None, task.format, say)
    return lambda: examples(path, task.text, None, format, tuple(keep))


def from_lines(lines: Iterable[bytes], task: Task, encoding: str = "utf-8") -> Iterator[Example | Fault]:
    """The rows of a pipe: a text a line, or two with a tab between.

    A line that is empty, has not two texts or is in another encoding is a fault.
    """
    wanted = "two texts with a tab between" if task.is_pair else "a text"
    for number, line in enumerate(lines, 1):
        try:
            text = line.decode(encoding).rstrip("\r\n")
            text = text.removeprefix("\ufeff") if number == 1 else text
        except UnicodeDecodeError as error:
            found = f"the byte 0x{line[error.start]:02x}"
            shown = line.decode(encoding, "backslashreplace").rstrip("\r\n")
            yield Fault(PIPE, number, f"expected {encoding}, found {found}; convert the text, or skip the line", shown)
            continue
        parts = tuple(text.split("\t")) if task.is_pair else (text,)
        if len(parts) == len(task.text) and all(part.strip() for part in parts):
            yield Example(parts, None, number)
        else:
            yield Fault(PIPE, number, f"expected {wanted}, found {text.strip()!r:.60}", text)


def answers(
    model: Predictor,
    name: str,
    rows: Iterable[Example],
    keep: Sequence[str] = (),
    every: bool = False,
    at_once: int = 0,
) -> Iterator[dict[str, Any]]:
    """One dictionary per row: the kept cells, its texts, then the label and its probability, or the score.

    What is answered under a name that the row has already gets `predicted_` before it.

    Args:
        model: a trained one.
        name: of the task.
        rows: its texts.
        keep: the names of the cells that the rows have kept.
        every: the probabilities of all classes too.
        at_once: rows that are answered together; 0: `CHUNK`.
    """
    task, source = model.task(name), iter(rows)
    while chunk := list(itertools.islice(source, at_once or CHUNK)):
        said = model.predict(name, [row.texts if task.is_pair else row.texts[0] for row in chunk])  # type: ignore[misc]
        for row, answer in zip(chunk, said.rows(every), strict=True):
            given = {**dict(zip(keep, row.kept, strict=True)), **dict(zip(task.text, row.texts, strict=True))}
            yield given | {_free(key, given): value for key, value in answer.items()}


def _free(name: str, taken: Mapping[str, Any]) -> str:
    """A name for an answer that the row has not got yet."""
    return _free(f"predicted_{name}", taken) if name in taken else name


SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson")


def check_output(output: Path) -> None:
    """Refuses a file of another kind than can be written.

    Raises:
        DataError: its name says so.
    """
    if output.suffix.lower() not in SUFFIXES:
        found = output.suffix or "no suffix"
        raise DataError(f"{output}: expected a file to write ending in {', '.join(SUFFIXES)}, found {found}")


def write_answers(found: Iterable[dict[str, Any]], task: Task, output: Path | None, pipe: IO[str]) -> int:
    """Writes answers to a file (by its suffix), whole or not at all; or to a pipe, tab separated, without texts.

    Returns:
        How many.

    Raises:
        DataError: a cell with a tab or a line break, where columns are tab separated.
    """
    counted = itertools.count()
    numbered = (answer for answer, _ in zip(found, counted, strict=False))
    if output is None:
        for answer in numbered:
            pipe.write(_tabbed(PIPE_OUT, {key: answer[key] for key in answer if key not in task.text}))
        pipe.flush()
    else:
        with atomic_file(output) as file:
            _write(numbered, output, file)
    return next(counted)


PIPE_OUT = Path("standard output")


def _write(found: Iterable[dict[str, Any]], output: Path, file: IO[str]) -> None:
    suffix = output.suffix.lower()
    if suffix in (".jsonl", ".ndjson"):
        file.writelines(json.dumps(answer, ensure_ascii=False) + "\n" for answer in found)
        return
    writer: csv.DictWriter[str] | None = None
    for number, answer in enumerate(found):
        if suffix == ".tsv":
            # As it is read: a quote is a character like any other.
            file.write(_tabbed(output, dict(zip(answer, answer, strict=True))) if not number else "")
            file.write(_tabbed(output, answer))
            continue
        if writer is None:
            writer = csv.DictWriter(file, list(answer))
            writer.writeheader()
        writer.writerow({key: _cell(value) for key, value in answer.items()})


def _cell(value: Any) -> str:
    """A value in a table: text as it is, nothing for none, all else as JSON."""
    return value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)


def _tabbed(place: Path, answer: dict[str, Any]) -> str:
    """A line of cells with tabs between.

    Raises:
        DataError: one holds a tab or a line break.
    """
    cells = {key: _cell(value) for key, value in answer.items()}
    for key, cell in cells.items():
        if any(mark in cell for mark in "\t\r\n"):
            found = f"expected cells without tabs and line breaks, found {cell!r:.60} in {key!r}"
            raise DataError(f"{place}: {found}; write .csv or .jsonl with --output")
    return "\t".join(cells.values()) + "\n"
