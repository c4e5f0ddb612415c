"""Train beside dev: what was learned by heart."""

from minbert.reporting.page.chart import Scale, compact, figure, frame, picture, span_of
from minbert.reporting.page.html import Html, join, table, tag
from minbert.reporting.page.material import Material
from minbert.reporting.page.section import Section, grid
from minbert.reporting.tables import number

ROW = 44.0


def gap(made: Material) -> Section:
    """A line from dev to train for each task, and the numbers."""
    found = [
        (name, task["train"][task["metric"]], task["dev"][task["metric"]])
        for name, task in made.result["tasks"].items()
        if task["metric"] in task["train"] and task["metric"] in task["dev"]
    ]
    if not found:
        return Section("Train minus dev", absent="no task was scored on both train and dev")
    rows = [[name, number(train), number(dev), f"{train - dev:+.3f}"] for name, train, dev in found]
    return Section(
        "Train minus dev",
        "The best checkpoint on rows that it learned from, and on rows that it did not.",
        (grid(figure("", _chart(found)), table(["task", "train", "dev", "difference"], rows), wide=True),),
    )


def _chart(found: list[tuple[str, float, float]]) -> Html:
    height = 34 + ROW * len(found)
    low, high = span_of([value for _, *pair in found for value in pair], 0.1)
    made = frame((low, high), (0.0, 1.0), 16.0, height=height)
    x = Scale(low, high, 8.0, made.width - 24.0)
    ticks = x.ticks()
    step = ticks[1] - ticks[0] if len(ticks) > 1 else 0.0
    marks = []
    for tick in ticks:
        marks.append(tag("line", x1=x(tick), x2=x(tick), y1=8.0, y2=height - 24, class_="grid"))
        marks.append(tag("text", compact(tick, step), x=x(tick), y=height - 8, class_="middle"))
    for place, (name, train, dev) in enumerate(found):
        y = 28 + ROW * place
        marks.append(tag("text", name, x=8.0, y=y - 8, class_="strong"))
        marks.append(tag("line", x1=x(dev), x2=x(train), y1=y + 4, y2=y + 4, class_="bar s0"))
        for kind, value in ((0, dev), (1, train)):
            marks.append(tag("path", d=f"M{x(value):.1f} {y + 4:.1f}h0", class_=f"dot s{kind}"))
        if not place:
            side = (x(dev) <= x(train)) * 2 - 1
            for kind, word, value, way in ((0, "dev", dev, -side), (1, "train", train, side)):
                marks.append(
                    tag("text", word, x=x(value) + 8 * way, y=y + 8, class_=f"f{kind} {'end' if way < 0 else ''}")
                )
    told = "; ".join(f"{name}: train {train:.3f}, dev {dev:.3f}" for name, train, dev in found)
    return picture("Train and dev of each task", told, made.width, height, join(marks))
