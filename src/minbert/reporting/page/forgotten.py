"""Forgetting: what each task's phase did to every task."""

from typing import Any

from minbert.reporting.page.chart import COLOURS, dots, figure, frame, labels, line, picture, span_of
from minbert.reporting.page.html import Html, note, table, tag
from minbert.reporting.page.material import Material
from minbert.reporting.page.section import Section
from minbert.reporting.tables import number
from minbert.training.forgetting import forgetting, worst_drops

PHASES = 60
"""Rows of the matrix that are shown: the last ones."""


def forgot(made: Material) -> Section | None:
    """The forgetting matrix; None where the tasks were not trained one after the other."""
    rows = forgetting(made.lines, made.metrics)
    if not rows:
        return None
    tasks = list(made.metrics)
    cells = []
    for row in rows[-PHASES:]:
        name = f"{row['stage']} {row['epoch']}, after {row['task']}"
        cells.append([name, *(_score(row, task) for task in tasks)])
    drops = [
        note(f"{task} fell by {-change:.3f} while {other} was trained.")
        for task, (change, other) in worst_drops(rows).items()
    ]
    lead = (
        "Every task on up to 1,000 rows of dev after each task's phase, and the change since the phase before. "
        "Bold: the task just trained."
    )
    return Section("Forgetting", lead, (_course(rows, tasks), table(["phase", *tasks], cells), *drops))


def _score(row: dict[str, Any], task: str) -> Html:
    change = row["change"].get(task)
    more = []
    if change is not None:
        kind = "fell" if change <= -0.0005 else "rose" if change >= 0.0005 else ""
        more = [tag("span", f"{change:+.3f}", class_=f"delta {kind}")]
    own = "number best" if task == row["task"] else "number"
    return tag("td", number(row["scores"].get(task)), *more, class_=own)


def _course(rows: list[dict[str, Any]], tasks: list[str]) -> Html:
    """Every task's score over the phases; a dot where the task itself was trained."""
    values = [score for row in rows for score in row["scores"].values()]
    chart = frame((0.7, len(rows) + 0.3), span_of(values), 90.0, width=520.0, height=240.0)
    marks, ends = [chart.axes("phase", whole=True)], []
    for colour, task in enumerate(tasks):
        points = [(float(i), row["scores"][task]) for i, row in enumerate(rows, 1) if task in row["scores"]]
        if points:
            marks.append(line(chart, points, colour))
            own = [(x, y) for x, y in points if rows[int(x) - 1]["task"] == task]
            marks.append(dots(chart, own, colour))
            ends.append((points[-1][1], task, f"f{colour % COLOURS}"))
    marks.append(labels(chart, ends))
    told = "; ".join(
        f"{task}: {rows[0]['scores'].get(task, 0):.3f} to {rows[-1]['scores'].get(task, 0):.3f}" for task in tasks
    )
    drawn = picture("Scores over the phases", told, chart.width, chart.height, *marks)
    return figure("a dot: the task itself was just trained", drawn)
