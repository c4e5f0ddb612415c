"""HTML that is written by functions: what is not marked as safe is escaped."""

import html
import re
from collections.abc import Iterable

CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
VOID = frozenset({"br", "meta", "link", "circle", "line", "path", "rect"})
"""Elements that are written without an end tag, or with `/>` in SVG."""


class Html(str):
    """Markup: it is written as it stands, while any other string is escaped."""

    __slots__ = ()


def escaped(text: str) -> Html:
    """A text as markup: nothing in it can end an element, open one, or break the file's encoding."""
    sound = CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text).encode("utf-8", "replace").decode("utf-8")
    return Html(html.escape(sound, quote=True))


def join(parts: Iterable[str]) -> Html:
    """Parts one behind the other; those that are no markup are escaped."""
    return Html("".join(part if isinstance(part, Html) else escaped(part) for part in parts))


def tag(name: str, /, *parts: str, **attributes: str | float) -> Html:
    """An element: `tag("td", "a < b", class_="number")`.

    Args:
        name: of the element.
        parts: what stands in it.
        attributes: a final `_` is dropped (`class_`), the others become `-` (`stroke_width`).
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escaped(_plain(value))}"' for key, value in attributes.items()
    )
    if name in VOID and not parts:
        return Html(f"<{name}{written}/>")
    return Html(f"<{name}{written}>{join(parts)}</{name}>")


def _plain(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.1f}".removesuffix(".0")


def table(head: list[str], rows: Iterable[list[str]], caption: str = "", words: int = 1, class_: str = "") -> Html:
    """A table with a header row and a header column; it scrolls by itself where the page is narrow.

    Args:
        head: names of the columns.
        rows: cells; the first of each names the row.
        caption: above it.
        words: so many columns from the left hold words, the others numbers.
        class_: of the table.
    """
    kinds = ["" if place < words else "number" for place in range(len(head))]
    top = join(tag("th", name, scope="col", class_=kind) for name, kind in zip(head, kinds, strict=True))
    body = [
        tag(
            "tr",
            tag("th", row[0], scope="row"),
            *(_cell(cell, kind) for cell, kind in zip(row[1:], kinds[1:], strict=True)),
        )
        for row in rows
    ]
    title = tag("caption", caption) if caption else Html("")
    inner = tag("table", title, tag("thead", tag("tr", top)), tag("tbody", *body), class_=class_)
    return tag("div", inner, class_="scroll")


def _cell(cell: str, kind: str) -> Html:
    return Html(cell) if isinstance(cell, Html) and cell.startswith("<td") else tag("td", cell, class_=kind)


def note(text: str) -> Html:
    """A line that explains."""
    return tag("p", text, class_="note")
