"""A file as numbered lines: read as bytes, decoded strictly, in bounded memory.

A line that cannot be decoded is handed on in a readable form and remembered in `spoiled`, so that the rows
around it keep their places and all faults of a file can be named at once.
"""

import codecs
import csv
import difflib
import json
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from minbert.errors import DataError

CELL = 1_000_000
"""The most characters a cell may hold."""
ROW = 16 * CELL
"""The most characters a row may hold, so that a quote that is never closed does not swallow a file."""
LINE = 64 << 20
"""The most bytes a line may hold, so that memory stays bounded."""

BLOCK = 1 << 16
"""The bytes read at a time where lines cannot be found before decoding."""

BOMS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Byte order marks, the longer ones first: the mark of UTF-32 begins with that of UTF-16."""


class Fault(NamedTuple):
    """A bad row; as text it is `file:line: problem`.

    Args:
        path: the file, as it was given.
        line: the line of the fault: where the row starts, or the line in it that cannot be read.
        problem: what was expected, what was found, what to do.
        raw: the row as it stands in the file.
    """

    path: Path
    line: int
    problem: str
    raw: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.problem}"

    def rejected(self) -> str:
        """The line for it in a file of bad rows, as JSON."""
        record = {"file": str(self.path), "line": self.line, "fault": self.problem, "row": self.raw}
        return json.dumps(record, ensure_ascii=False) + "\n"


Row = tuple[int, list[Any]]
"""The line where a row starts and its cells: strings, but for values of JSON that are only passed on. An empty line has
no cells."""


class Lines:
    """An iterator over the lines of a file, with their line ends.

    Args:
        path: the file.
        encoding: the encoding of its text.

    Raises:
        DataError: if the file is missing, unreadable, empty, in another encoding by its byte order mark, or
            has a line that does not fit into memory.
    """

    def __init__(self, path: Path, encoding: str) -> None:
        self.path = path
        self.encoding = "utf-8" if codecs.lookup(encoding).name == "utf-8-sig" else encoding
        self.number = 0
        self.taken: list[str] = []
        self.spoiled: dict[int, str] = {}
        self.size = 0
        self._back: list[str] = []
        self._fresh = self._read()

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> str:
        line = self._back.pop() if self._back else next(self._fresh)
        self.number += 1
        self.taken.append(line)
        self.size += len(line)
        if self.size > ROW and len(self.taken) > 1:
            # The error of the csv module, because only its reader takes several lines for a row.
            raise csv.Error("row too long")
        return line

    def close(self) -> None:
        """Closes the file."""
        self._fresh.close()

    def begin(self) -> int:
        """Forgets the lines of the row before; the number of the line where the next row starts."""
        self.taken.clear()
        self.size = 0
        return self.number + 1

    def give_back(self, count: int) -> None:
        """Takes the last `count` lines of this row back, to be handed out again."""
        for _ in range(count):
            self._back.append(self.taken.pop())
        self.number -= count

    def raw(self) -> str:
        """The row at hand as it stands in the file, without its last line end."""
        return "".join(self.taken).removesuffix("\n").removesuffix("\r")

    def fault(self, problem: str, line: int | None = None) -> Fault:
        """A fault of the row at hand."""
        return Fault(self.path, line or self.number - len(self.taken) + 1, problem, self.raw())

    def spoil(self) -> Fault | None:
        """The fault of the first line of this row that could not be decoded or holds NUL, if there is one."""
        for number in range(self.number - len(self.taken) + 1, self.number + 1):
            if number in self.spoiled:
                return self.fault(self.spoiled[number], number)
        return None

    def _open(self) -> IO[bytes]:
        """The file, opened, behind its byte order mark."""
        file, found = opened(self.path)
        if found.startswith(("utf-16", "utf-32")):
            if not self._is(found):
                file.close()
                raise DataError(
                    f"{self.path}:1: expected {self.encoding}, found the byte order mark of {found.upper()}; "
                    f'save the file as UTF-8 or write encoding = "{found}" in its `format`'
                )
            # Its decoder needs the mark to know the byte order.
            file.seek(0)
        return file

    def _is(self, name: str) -> bool:
        """Whether the encoding asked for is this one, in either byte order."""
        return codecs.lookup(self.encoding).name.startswith(name)

    def _read(self) -> Generator[str, None, None]:
        """Decodes line by line."""
        with self._open() as file:
            lines = self._split(file) if "\n".encode(self.encoding) == b"\n" else self._wide(file)
            for number, line in enumerate(lines, start=1):
                if "\0" in line:
                    self.spoiled.setdefault(
                        number,
                        "expected text, found a NUL byte; repair the row, or if the file is UTF-16 write "
                        'encoding = "utf-16-le" in its `format`',
                    )
                if number == 1:
                    line = line.removeprefix("\ufeff")
                    if "\r" in line.rstrip("\r\n"):
                        raise DataError(
                            f"{self.path}:1: expected lines that end in a line feed, found carriage returns "
                            "alone; save the file with line ends \\n or \\r\\n"
                        )
                yield line

    def _split(self, file: IO[bytes]) -> Iterator[str]:
        """Lines of an encoding in which a line feed is the byte 10: bad bytes spoil one line only."""
        number = 0
        while raw := file.readline(LINE):
            number += 1
            if len(raw) == LINE:
                raise DataError(_endless(self.path, number))
            try:
                line = raw.decode(self.encoding)
            except UnicodeDecodeError as error:
                line = raw.decode(self.encoding, "backslashreplace")
                self.spoiled[number] = (
                    f"expected {self.encoding}, found the byte 0x{raw[error.start]:02x} at {error.start + 1} "
                    "of the line; save the file as UTF-8 or name its encoding in its `format`, "
                    'for example encoding = "cp1252"'
                )
            yield line

    def _wide(self, file: IO[bytes]) -> Iterator[str]:
        """Lines of an encoding such as UTF-16, in which nothing is certain behind a bad byte."""
        decoder = codecs.getincrementaldecoder(self.encoding)()
        number, rest, block = 0, "", b"more"
        while block:
            block = file.read(BLOCK)
            try:
                *whole, rest = (rest + decoder.decode(block, final=not block)).split("\n")
            except UnicodeError as error:
                before = error.object[: error.start] if isinstance(error, UnicodeDecodeError) else b""
                number += 1 + before.replace(b"\0", b"").count(b"\n")
                raise DataError(
                    f"{self.path}:{number}: expected {self.encoding}, found bytes that are not ({error}); "
                    "save the file as UTF-8 or name its encoding in its `format`"
                ) from error
            for line in whole:
                number += 1
                yield line + "\n"
            if len(rest) > LINE:
                raise DataError(_endless(self.path, number + 1))
        if rest:
            yield rest


def opened(path: Path) -> tuple[IO[bytes], str]:
    """The file, opened behind its byte order mark, and the encoding that the mark names, or nothing.

    Raises:
        DataError: if the file is missing or cannot be read.
    """
    try:
        file = path.open("rb")
        start = file.read(4)
    except OSError as error:
        raise DataError(_unreadable(path, error)) from error
    mark, found = next(((mark, name) for mark, name in BOMS.items() if start.startswith(mark)), (b"", ""))
    file.seek(len(mark))
    return file, found


def _endless(path: Path, number: int) -> str:
    """The fault of a line that is too long to hold."""
    return f"{path}:{number}: expected lines of less than {LINE >> 20} MB, found more; is it a text file?"


def _unreadable(path: Path, error: OSError) -> str:
    """The fault of a file that cannot be opened, with the nearest name beside it."""
    if isinstance(error, IsADirectoryError):
        return f"{path}: expected a file, found a folder; name the file in it"
    if not isinstance(error, FileNotFoundError):
        return f"{path}: expected a file that can be read, found: {error.strerror}; check its permissions"
    beside = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, beside, n=1)
    remedy = f"did you mean {path.parent / near[0]}?" if near else "check the path and where it starts from"
    return f"{path}: expected a file, found none; {remedy}"
