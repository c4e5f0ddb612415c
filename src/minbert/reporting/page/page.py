"""One page: self-contained, without scripts, the same bytes for the same run."""

from collections.abc import Sequence
from pathlib import Path

from minbert import __version__
from minbert.reporting.page.conflicts import conflicts
from minbert.reporting.page.confusion import confusion
from minbert.reporting.page.curves import curves
from minbert.reporting.page.embedding import Map, embedding
from minbert.reporting.page.errors import errors
from minbert.reporting.page.forgotten import forgot
from minbert.reporting.page.gap import gap
from minbert.reporting.page.html import Html, tag
from minbert.reporting.page.material import Material
from minbert.reporting.page.record import digests, environment, recipe
from minbert.reporting.page.reliability import reliability
from minbert.reporting.page.scores import headline, scores
from minbert.reporting.page.section import Section, gathered
from minbert.reporting.page.similarity import similarity

STYLE = (Path(__file__).parent / "style.css").read_text(encoding="utf-8")
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""Nothing is loaded from anywhere, and no script runs: the texts on the page are anyone's."""


def run_page(made: Material, found: Map) -> str:
    """The page of a finished run.

    Args:
        made: what the run's folder says.
        found: the map of its texts.
    """
    sections = [
        scores(made),
        curves(made),
        gap(made),
        confusion(made),
        reliability(made),
        similarity(made),
        conflicts(made),
        forgot(made),
        errors(made),
        embedding(made, found),
        recipe(made),
        environment(made),
        digests(made),
    ]
    result = made.result
    about = f"one run: {len(result['tasks'])} tasks on {result['encoder']}, seed {result['seed']}"
    return page(made.folder.resolve().name, about, headline(made), gathered(sections))


def page(title: str, about: str, head: Html, sections: Sequence[Section]) -> str:
    """A whole HTML document.

    Args:
        title: the heading.
        about: the line above it.
        head: what stands below it.
        sections: in order.
    """
    links = tag("nav", *(tag("a", s.title, href=f"#{s.anchor}") for s in sections), aria_label="Sections")
    header = tag("header", tag("p", about, class_="kicker"), tag("h1", title), head, links)
    main = tag("main", *(section.written() for section in sections))
    footer = tag("footer", f"Written by minbert {__version__}. Source of every number: the run folder.")
    metas = [
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="generator", content=f"minbert {__version__}"),
    ]
    top = tag("head", *metas, tag("title", f"{title} - minbert"), tag("style", Html(STYLE)))
    return f"<!doctype html>\n{tag('html', top, tag('body', header, main, footer), lang='en')}\n"
