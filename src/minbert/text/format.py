"""How a data file is written: the family of formats."""

import codecs
import json
from abc import abstractmethod
from collections.abc import Iterator

from pydantic import field_validator

from minbert.text.lines import CELL, Fault, Lines, Row
from minbert.values import Value

REPAIR = "repair the row or skip it"
TOO_LONG = f"expected cells of at most {CELL:,} characters, found a longer one; shorten it or skip the row"


class Format(Value):
    """How the rows of a file are written. Abstract.

    Args:
        kind: its name in a recipe.
        encoding: of the text.
    """

    kind: str
    encoding: str = "utf-8"

    @field_validator("encoding")
    @classmethod
    def _known(cls, encoding: str) -> str:
        try:
            codecs.lookup(encoding)
            "".encode(encoding)
        except (LookupError, ValueError) as error:
            raise ValueError(f"expected an encoding such as utf-8, utf-16 or cp1252, found {encoding!r}") from error
        return encoding

    @abstractmethod
    def names(self, lines: Lines) -> list[str]:
        """The names of the columns, read from the start of the file."""

    @abstractmethod
    def rows(
        self, lines: Lines, columns: tuple[str, ...], label: str | None, keep: tuple[str, ...] = ()
    ) -> Iterator[Row | Fault]:
        """Every row: the cells of `columns`, then that of `label` if one is asked for, then those of `keep`.

        An empty line is a row without cells. While a row is in hand, `lines` holds how it stands in the file.
        """

    def in_recipe(self) -> str:
        """The format as it is written in a recipe."""
        table = self.model_dump()
        table["encoding"] = table.pop("encoding")
        return "{ " + ", ".join(f"{key} = {json.dumps(value)}" for key, value in table.items()) + " }"
