"""A section of the page."""

from dataclasses import dataclass

from minbert.reporting.page.html import Html, tag


@dataclass(frozen=True)
class Section:
    """A heading, a line that says what is to be seen, and what is to be seen.

    Attributes:
        title: the heading.
        lead: one or two sentences.
        parts: figures, tables, notes.
    """

    title: str
    lead: str
    parts: tuple[Html, ...]

    @property
    def anchor(self) -> str:
        """What the table of contents points to."""
        return "".join(letter if letter.isalnum() else "-" for letter in self.title.lower())

    def written(self) -> Html:
        """The section as markup."""
        lead = [tag("p", self.lead, class_="lead")] if self.lead else []
        return tag("section", tag("h2", self.title), *lead, *self.parts, id=self.anchor)


def grid(*figures: Html, wide: bool = False) -> Html:
    """Figures beside each other, as many as fit."""
    return tag("div", *figures, class_="grid wide" if wide else "grid")
