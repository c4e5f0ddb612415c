"""The worst errors, with their texts."""

from pathlib import Path

from minbert.inference import read_scores
from minbert.reporting.page.html import Html, join, note, table, tag
from minbert.reporting.page.material import Material
from minbert.reporting.page.section import Section
from minbert.tasks import Task
from minbert.training.answers import Answered
from minbert.training.details import worst_rows

SHOWN = 8
LETTERS = 320
"""Of a text; what is longer is cut."""


def errors(made: Material) -> Section:
    """A table for each task: the wrong answers whose label seemed least likely, or the ratings furthest off."""
    found = made.answered("classes", "yes_no", "rating")
    if not found:
        return Section("Worst errors", absent=made.unanswered)
    parts = [] if made.rows else [note(f"The texts are not here: {made.missing['rows']}.")]
    for name, splits in found.items():
        parts += [tag("h3", name), _table(made, name, made.tasks[name], splits["dev"])]
    lead = (
        "The wrong answers whose label the model thought least likely, and the ratings that are furthest from their "
        "labels. Some labels are wrong."
    )
    return Section("Worst errors", lead, tuple(parts))


def worst(task: Task, found: Answered) -> tuple[list[int], list[str], list[str], list[str]]:
    """The rows in order, and of each its label, the answer, and how sure or how far off it was."""
    said, labels = read_scores(task, found.scores), found.labels.numpy()
    order = worst_rows(task, found.labels, found.scores, SHOWN)
    if task.kind == "rating":
        off = [f"{said.scores[i] - labels[i]:+.2f}" for i in order]
        return order, [f"{labels[i]:.2f}" for i in order], [f"{said.scores[i]:.2f}" for i in order], off
    sure = [f"{said.scores[i]:.0%}" for i in order]
    return order, [said.classes[int(labels[i])] for i in order], [said.labels[i] for i in order], sure


def _table(made: Material, name: str, task: Task, found: Answered) -> Html:
    order, labels, answers, sizes = worst(task, found)
    if not order:
        return note("None: every answer on dev is right.")
    rows = []
    for number, label, answer, size in zip(order, labels, answers, sizes, strict=True):
        text = tag("td", *_texts(made, name, number), class_="text", dir="auto")
        rows.append([_place(made, name, number), text, tag("td", label), tag("td", answer), size])
    head = ["where", " and ".join(task.text), "label", "answer", "off by" if task.kind == "rating" else "sure"]
    return table(head, rows, words=4, class_="errors")


def _place(made: Material, name: str, number: int) -> str:
    return Path(made.rows[name].places[number]).name if name in made.rows else f"row {number + 1:,} of dev"


def _texts(made: Material, name: str, number: int) -> list[Html]:
    if name not in made.rows:
        return [join(["-"])]
    texts = [column[number] for column in made.rows[name].columns]
    return [tag("span", text if len(text) <= LETTERS else text[:LETTERS] + "…") for text in texts]
