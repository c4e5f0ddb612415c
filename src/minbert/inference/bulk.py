"""Prediction for files and pipes of any length, in bounded memory."""

import csv
import itertools
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from minbert.errors import DataError
from minbert.inference.predictor import Predictor
from minbert.storage import atomic_file
from minbert.tasks import Task
from minbert.text.readers import fitting, stream

CHUNK = 8192
"""Rows in memory at a time: enough to sort by length, little enough to hold."""

Row = tuple[str, ...]


def from_file(path: Path, task: Task, skip_bad: Path | None = None) -> Iterator[Row]:
    """The texts of a file that has the task's columns."""
    format = fitting(path, task.text, None, task.format)
    for example in stream(path, task.text, None, format, skip_bad):
        yield example.texts


def from_lines(lines: Iterable[str], task: Task) -> Iterator[Row]:
    """The texts of lines: one a line, or two with a tab between.

    Raises:
        DataError: a line that is empty or has not two texts.
    """
    for number, line in enumerate(lines, 1):
        parts = tuple(line.rstrip("\r\n").split("\t")) if task.is_pair else (line.rstrip("\r\n"),)
        if len(parts) != len(task.text) or not all(part.strip() for part in parts):
            wanted = "two texts with a tab between" if task.is_pair else "a text"
            raise DataError(f"standard input:{number}: expected {wanted}, found {line.strip()!r:.60}")
        yield parts


def answers(model: Predictor, name: str, rows: Iterable[Row]) -> Iterator[dict[str, Any]]:
    """One dictionary per row: its texts, then the label and its probability, or the score."""
    task, source = model.task(name), iter(rows)
    while chunk := list(itertools.islice(source, CHUNK)):
        said = model.predict(name, [row if task.is_pair else row[0] for row in chunk])  # type: ignore[misc]
        for row, answer in zip(chunk, said.rows(), strict=True):
            yield {**dict(zip(task.text, row, strict=True)), **answer}


def write_answers(found: Iterable[dict[str, Any]], task: Task, output: Path | None, pipe: IO[str]) -> int:
    """Writes answers to a file (.jsonl, else CSV), whole or not at all; or to a pipe, tab separated, without texts.

    Returns:
        How many.
    """
    counted = itertools.count()
    numbered = (answer for answer, _ in zip(found, counted, strict=False))
    if output is None:
        for answer in numbered:
            pipe.write("\t".join(str(answer[key]) for key in answer if key not in task.text) + "\n")
        pipe.flush()
    else:
        with atomic_file(output) as file:
            _write(numbered, output.suffix.lower(), file)
    return next(counted)


def _write(found: Iterable[dict[str, Any]], suffix: str, file: IO[str]) -> None:
    if suffix in (".jsonl", ".ndjson"):
        file.writelines(json.dumps(answer, ensure_ascii=False) + "\n" for answer in found)
        return
    writer: csv.DictWriter[str] | None = None
    for answer in found:
        if writer is None:
            writer = csv.DictWriter(file, list(answer), delimiter="\t" if suffix == ".tsv" else ",")
            writer.writeheader()
        writer.writerow(answer)
