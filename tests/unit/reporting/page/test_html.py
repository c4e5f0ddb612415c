"""Whatever a text holds, it stays a text."""

from html.parser import HTMLParser

import pytest

from minbert.reporting.page.html import Html, escaped, join, table, tag

HOSTILE = [
    "</td><script>alert(1)</script>",
    "\"><img src=x onerror='alert(1)'>",
    "</title></style><svg onload=alert(1)>",
    "<!-- --!> <![CDATA[ ]]> &lt; &#60;",
    "a\x00b\x1b[31m\x85 \ud800 end",
]


class Seen(HTMLParser):
    """The elements and the texts that a parser finds."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.text = ""
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_is_a_text(text: str) -> None:
    made = tag("td", text, title=text)
    seen = Seen(made)
    assert seen.elements == ["td"] and [name for name, _ in seen.attributes] == ["title"]
    plain = text.replace("\x00", "�").replace("\x1b", "�").replace("\x85", "�").replace("\ud800", "?")
    assert seen.text == plain == seen.attributes[0][1]
    made.encode()


def test_markup_is_written_as_it_stands_and_only_once() -> None:
    inner = tag("b", "a & b")
    assert tag("p", inner, " < ") == "<p><b>a &amp; b</b> &lt; </p>"
    assert join([inner, "<"]) == "<b>a &amp; b</b>&lt;" and isinstance(join([inner]), Html)
    assert (
        escaped("x") == "x"
        and tag("br") == "<br/>"
        and tag("th", "x", class_="a", aria_label="b") == ('<th class="a" aria-label="b">x</th>')
    )


def test_numbers_in_attributes_are_short() -> None:
    assert tag("circle", cx=1.0, cy=2.345, r=0.5) == '<circle cx="1" cy="2.3" r="0.5"/>'


def test_a_table_has_headers_for_rows_and_columns() -> None:
    made = table(["task", "score"], [["<x>", "1"], ["y", tag("td", "2", class_="heat")]], "what")
    assert made.count('scope="col"') == made.count('scope="row"') == 2
    assert "&lt;x&gt;" in made and '<td class="number">1</td>' in made and '<td class="heat">2</td>' in made
