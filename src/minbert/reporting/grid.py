"""A table of texts, for the terminal, for markdown, for LaTeX."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.table import Table

LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}",
}  # fmt: skip


GAP = 2
"""Blanks between two columns."""


@dataclass(frozen=True)
class Grid:
    """Rows of texts under a heading; the first column stands left, the others right.

    Attributes:
        title: above it.
        columns: the heading.
        rows: as many cells each as there are columns.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def rich(self, width: int) -> Table:
        """For a terminal of some columns, without the title. Where it is narrow, cells fold between words."""
        made = Table(box=box.SIMPLE_HEAD, show_edge=False, collapse_padding=True, pad_edge=False)
        for number, (name, wide) in enumerate(zip(self.columns, self.widths(width), strict=True)):
            made.add_column(name, justify="right" if number else "left", width=wide)
        for row in self.rows:
            made.add_row(*row)
        return made

    def widths(self, most: int) -> list[int]:
        """The width of each column: whole cells if they fit, else all folded, the first column's last."""
        columns = [[name, *(row[i] for row in self.rows)] for i, name in enumerate(self.columns)]
        whole = [max(map(len, cells)) for cells in columns]
        folded = [max((len(word) for cell in cells for word in cell.split()), default=0) for cells in columns]
        choices = (whole, [whole[0], *folded[1:]])
        return next((widths for widths in choices if sum(widths) + GAP * (len(widths) - 1) <= most), folded)

    def markdown(self) -> str:
        """A pipe table."""
        marks = [":--", *["--:"] * (len(self.columns) - 1)]
        lines = [self.columns, marks, *self.rows]
        table = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
        return f"**{self.title}**\n\n{table}" if self.title else table

    def latex(self) -> str:
        """A `tabular` that needs no package."""
        lines = [" & ".join(map(escaped, line)) + r" \\" for line in (self.columns, *self.rows)]
        title = [rf"\textbf{{{escaped(self.title)}}}", ""] if self.title else []
        begin = rf"\begin{{tabular}}{{l{'r' * (len(self.columns) - 1)}}}"
        return "\n".join([*title, begin, r"\hline", lines[0], r"\hline", *lines[1:], r"\hline", r"\end{tabular}"])


def escaped(text: str) -> str:
    """A text as LaTeX sets it: its signs escaped, a minus before a number as a minus."""
    plain = "".join(LATEX.get(sign, sign) for sign in text)
    return re.sub(r"(?<![\w.-])-(?=\.?\d)", "$-$", plain)
