"""Which class was taken for which."""

from typing import Any

import numpy as np

from minbert.reporting.page.html import Html, table, tag
from minbert.reporting.page.material import Material
from minbert.reporting.page.section import Section, grid
from minbert.training.scoring import per_class

MOST = 15
"""Classes up to which there is a matrix; beyond, the most frequent confusions are listed."""


def confusion(made: Material) -> Section | None:
    """A matrix for each task with classes; None where no task has any."""
    if all(task.kind == "rating" for task in made.tasks.values()):
        return None
    lead = "Rows are labels, columns answers, on dev; the shade is the share of the row."
    figures = []
    for name, splits in made.answered("classes", "yes_no").items():
        task, found = made.tasks[name], splits["dev"]
        figures.append(_figure(name, per_class(task, found.labels.numpy(), task.answers(found.scores))))
    if not figures:
        return Section("Confusion", absent=made.unanswered)
    return Section("Confusion", lead, (grid(*figures, wide=True),))


def _figure(name: str, found: dict[str, Any]) -> Html:
    names, counts = list(found["classes"]), np.array(found["confusion"])
    shown = _matrix(names, counts) if len(names) <= MOST else _list(names, counts)
    return tag("figure", tag("figcaption", tag("strong", name)), shown)


def _matrix(names: list[str], counts: Any) -> Html:
    shares = counts / np.maximum(1, counts.sum(1, keepdims=True))
    rows = []
    for i, name in enumerate(names):
        cells = [
            tag("td", f"{counts[i, j]:,}", class_="heat", style=f"--v:{shares[i, j]:.2f}", title=f"{shares[i, j]:.0%}")
            for j in range(len(names))
        ]
        recall = f"{shares[i, i]:.0%}" if counts[i].sum() else "-"
        rows.append([name, *cells, recall])
    right = counts.diagonal() / np.maximum(1, counts.sum(0))
    rows.append(["precision", *(f"{v:.0%}" if n else "-" for v, n in zip(right, counts.sum(0), strict=True)), ""])
    return table(["label", *names, "recall"], rows, class_="matrix")


def _list(names: list[str], counts: Any) -> Html:
    wrong = counts - np.diag(counts.diagonal())
    order = np.argsort(-wrong, axis=None, kind="stable")[:MOST]
    places = [np.unravel_index(place, wrong.shape) for place in order]
    rows = [
        [names[i], names[j], f"{wrong[i, j]:,}", f"{wrong[i, j] / max(1, counts[i].sum()):.0%}"]
        for i, j in places
        if wrong[i, j]
    ]
    return table(["label", "taken for", "rows", "of the label"], rows, words=2)
