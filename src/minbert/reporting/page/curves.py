"""Scores and losses over the epochs."""

from typing import Any

from minbert.reporting.page.chart import Frame, dots, figure, frame, labels, level, line, picture, span_of
from minbert.reporting.page.html import Html, join, tag
from minbert.reporting.page.material import Material
from minbert.reporting.page.section import Section, grid

Series = list[tuple[float, float]]
RIGHT = 48.0


def curves(made: Material) -> Section:
    """A chart per task: dev, select, the best floor, and the epoch that was chosen."""
    epochs = made.epochs
    if not epochs:
        return Section("Curves", absent="nothing was trained: the scores are those of the encoder as it was found")
    chosen = _chosen(made, epochs)
    overall = _series(epochs, lambda line: line.get("select_score"))
    charts = [_chart("select score", epochs, {"select score": overall}, chosen, None)]
    for task, metric in made.metrics.items():
        named = {"dev": _series(epochs, lambda e, t=task, m=metric: e["dev"].get(t, {}).get(m))}
        named["select"] = _series(epochs, lambda e, t=task, m=metric: e.get("select", {}).get(t, {}).get(m))
        floors = [value for value in made.result["tasks"][task]["floors"].values() if value is not None]
        if any(named.values()):
            charts.append(_chart(f"{task}, {metric}", epochs, named, chosen, max(floors, default=None)))
    losses = [
        _chart(f"{task}, loss on train", epochs, {"loss": found}, chosen, None)
        for task in made.metrics
        if (found := _series(epochs, lambda e, t=task: e["loss"].get(t)))
    ]
    lead = "The vertical line is the epoch that was kept"
    lead += (
        "; the dotted one the best floor: a simple model on the encoder as it was found." if _has_floors(made) else "."
    )
    return Section("Curves", lead, (grid(*charts), tag("h3", "Losses"), grid(*losses)))


def _has_floors(made: Material) -> bool:
    return any(task["floors"] for task in made.result["tasks"].values())


def _series(epochs: list[dict[str, Any]], value: Any) -> Series:
    found = [(float(number), value(epoch)) for number, epoch in enumerate(epochs, 1)]
    return [(x, float(y)) for x, y in found if y is not None]


def _chosen(made: Material, epochs: list[dict[str, Any]]) -> int:
    """The number of the epoch that was kept, counted over all stages; 0: none."""
    best = made.result["best"]
    places = [(epoch["stage"], epoch["epoch"]) for epoch in epochs]
    kept = (best.get("stage"), best.get("epoch"))
    return places.index(kept) + 1 if kept in places else 0


def _chart(
    caption: str, epochs: list[dict[str, Any]], named: dict[str, Series], chosen: int, floor: float | None
) -> Html:
    values = [y for series in named.values() for _, y in series] + ([] if floor is None else [floor])
    made = frame((0.7, len(epochs) + 0.3), span_of(values), RIGHT)
    marks = [_stages(made, epochs), made.axes("epoch", whole=True)]
    if floor is not None:
        marks.append(level(made, floor))
    if chosen:
        x = made.x(float(chosen))
        marks.append(tag("line", x1=x, x2=x, y1=made.y.start, y2=made.y.end, class_="select"))
    ends = [] if floor is None else [(floor, "floor", "")]
    kept: list[Html] = []
    for colour, (name, series) in enumerate(named.items()):
        if series:
            marks.append(line(made, series, colour, "dashed" if colour else ""))
            kept.append(_kept(made, series, chosen, colour))
            ends.append((series[-1][1], name.split()[0], f"f{colour}"))
    marks += [*kept, labels(made, ends)]
    told = "; ".join(f"{name}: " + ", ".join(f"{y:.3f}" for _, y in series) for name, series in named.items() if series)
    told += f"; epoch {chosen} was kept" if chosen else ""
    return figure(caption, picture(caption, told, made.width, made.height, *marks))


def _kept(made: Frame, series: Series, chosen: int, colour: int) -> Html:
    """A dot with its value at the epoch that was kept, else at the last."""
    x, y = next((point for point in series if point[0] == chosen), series[-1])
    value = tag("text", f"{y:.3f}", x=made.x(x), y=made.y(y) - 9, class_="value")
    return join([dots(made, [(x, y)], colour), value])


def _stages(made: Frame, epochs: list[dict[str, Any]]) -> Html:
    """Where a stage ends and the next begins, with its name; nothing where there is one stage."""
    starts = [i for i, epoch in enumerate(epochs) if i == 0 or epochs[i - 1]["stage"] != epoch["stage"]]
    if len(starts) < 2:
        return Html("")
    parts = []
    for start in starts:
        x = made.x(start + 0.5) if start else made.x.start
        if start:
            parts.append(tag("line", x1=x, x2=x, y1=made.y.start, y2=made.y.end, class_="grid"))
        parts.append(tag("text", str(epochs[start]["stage"]), x=x + 3, y=made.y.end - 6, class_="name"))
    return join(parts)
