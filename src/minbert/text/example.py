"""An example: one row of a data file, as the reader hands it on."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Example:
    """One row: its texts, its label and the place it came from.

    Args:
        texts: one text or two, as they stand in the file.
        label: as it stands in the file, stripped; None where no label was asked for.
        line: line number in the file, from 1, where the row starts.
        kept: other cells that were asked for, as they stand; of JSON lines the values, None where a key is missing.
    """

    texts: tuple[str, ...]
    label: str | None
    line: int
    kept: tuple[Any, ...] = ()
