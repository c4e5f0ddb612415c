"""Ratings: label against prediction."""

import numpy as np

from minbert.reporting.page.chart import dots, figure, frame, line, picture
from minbert.reporting.page.html import Html
from minbert.reporting.page.material import Material
from minbert.reporting.page.section import Section, grid

POINTS = 3000
"""Points on the whole page at most: more is neither readable nor small."""


def similarity(made: Material) -> Section | None:
    """A scatter for each rating; None where no task is one."""
    if not any(task.kind == "rating" for task in made.tasks.values()):
        return None
    found = made.answered("rating")
    if not found:
        return Section("Ratings", absent=made.unanswered)
    charts = [_figure(made, name, POINTS // len(found)) for name in found]
    return Section("Ratings", "Every row of dev: its label, and what was predicted.", (grid(*charts),))


def _figure(made: Material, name: str, most: int) -> Html:
    found, task = made.answers[name]["dev"], made.tasks[name]
    labels, predicted = found.labels.double().numpy(), task.answers(found.scores)
    drawn = np.unique(np.linspace(0, len(labels) - 1, min(most, len(labels))).astype(int))
    low, high = task.bounds
    room = (high - low) * 0.04
    chart = frame((low - room, high + room), (low - room, high + room), width=320.0, height=300.0)
    points = list(zip(labels[drawn].tolist(), predicted[drawn].tolist(), strict=True))
    marks = [chart.axes("label", "prediction"), line(chart, [(low, low), (high, high)], 5, "thin")]
    marks.append(dots(chart, points, 0, "speck"))
    scores = ", ".join(f"{metric} {value:.3f}" for metric, value in task.scores(found.labels, found.scores).items())
    error = float(np.abs(labels - predicted).mean())
    part = "" if len(drawn) == len(labels) else f"; {len(drawn):,} of {len(labels):,} rows drawn"
    told = f"{scores}, mean distance {error:.2f}{part}"
    return figure(f"{name}: {told}", picture(f"Predictions of {name}", told, chart.width, chart.height, *marks))
