"""A section of the page."""

from collections.abc import Iterable
from dataclasses import dataclass

from minbert.reporting.page.html import Html, table, tag


@dataclass(frozen=True)
class Section:
    """A heading, a line that says what is to be seen, and what is to be seen.

    Attributes:
        title: the heading.
        lead: one or two sentences.
        parts: figures, tables, notes.
        absent: why there is nothing to be seen; empty: there is.
    """

    title: str
    lead: str = ""
    parts: tuple[Html, ...] = ()
    absent: str = ""

    @property
    def anchor(self) -> str:
        """What the table of contents points to."""
        return "".join(letter if letter.isalnum() else "-" for letter in self.title.lower())

    def written(self) -> Html:
        """The section as markup."""
        lead = [tag("p", self.lead, class_="lead")] if self.lead else []
        return tag("section", tag("h2", self.title), *lead, *self.parts, id=self.anchor)


def gathered(sections: Iterable[Section | None]) -> list[Section]:
    """The sections in order; those that are absent become lines of a last one, that says why."""
    found = [section for section in sections if section]
    rows = [[section.title, section.absent] for section in found if section.absent]
    shown = [section for section in found if not section.absent]
    return [*shown, Section("Not on this page", "", (table(["section", "why"], rows, words=2),))] if rows else shown


def grid(*figures: Html, wide: bool = False) -> Html:
    """Figures beside each other, as many as fit."""
    return tag("div", *figures, class_="grid wide" if wide else "grid")
