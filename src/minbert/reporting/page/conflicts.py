"""Conflicts: who disturbs whom, where, when."""

import numpy as np

from minbert.reporting.conflicts import (
    LEGEND,
    Pair,
    colour_limit,
    conflict_summary,
    mean,
    moving_mean,
    pairs_of,
    share,
    signed,
)
from minbert.reporting.page.chart import COLOURS, frame, level, line, picture, span_of
from minbert.reporting.page.html import Html, join, note, table, tag
from minbert.reporting.page.material import Material
from minbert.reporting.page.section import Section, grid
from minbert.training.conflicts import WHOLE

PAIRS = 6
"""Pairs that are drawn: those with the lowest cosines."""

COLUMNS = 48
"""Columns of a map; several steps share one where there are more."""


def conflicts(made: Material) -> Section:
    """Tables and maps of what training wrote down."""
    if not any("cosines" in found for found in made.conflicts):
        return Section(
            "Conflicts",
            absent="training wrote none down: set conflicts_every = 10 in a stage whose steps hold several tasks",
        )
    found, pairs = conflict_summary(made.conflicts), pairs_of(made.conflicts)
    rows = []
    for pair in found["pairs"]:
        whole = pair["groups"][WHOLE]
        cells = [signed(whole[key]) for key in ("first_third", "last_third")]
        norms = "-" if whole["norm_ratio"] is None else f"{whole['norm_ratio']:.2f}"
        name = " and ".join(pair["tasks"])
        rows.append([name, f"{pair['steps']:,}", signed(whole["cosine"]), share(whole), *cells, norms])
    head = ["pair", "steps", "cosine", "below 0", "first third", "last third", "norms"]
    tasks = list(found["effects"])
    effects = [[task, *(_effect(found["effects"][task].get(other)) for other in tasks)] for task in tasks]
    drawn = sorted(pairs, key=lambda pair: mean(pair.cosines[WHOLE]) or 0.0)[:PAIRS]
    limit = colour_limit(drawn)
    maps = [_map(pair, limit) for pair in drawn]
    more = [note(f"Drawn: the {PAIRS} of {len(pairs)} pairs with the lowest cosines.")] if len(pairs) > PAIRS else []
    seen = f"{found['steps']:,} steps were compared, {found['several_tasks']:.0%} of them with several tasks."
    return Section(
        "Conflicts",
        f"The gradients of the tasks on the shared weights, before they are merged. {seen}",
        (
            table(head, rows),
            table(["", *tasks], effects, "What a step on the column does for the row", class_="matrix"),
            note(LEGEND),
            tag("h3", "Where and when"),
            note(
                f"Blue: the two pull one way; orange: against each other; the full colour is a cosine of ±{limit:.2f}."
            ),
            *more,
            grid(_lines(drawn), *maps, wide=True),
        ),
    )


def _effect(value: float | None) -> Html:
    if value is None:
        return tag("td", "", class_="heat", style="--v:0")
    hue = "against" if value < 0 else "along"
    return tag("td", signed(value), class_="heat", style=f"--v:{min(1.0, 4 * abs(value)):.2f};--hue:var(--{hue})")


def _lines(pairs: list[Pair]) -> Html:
    """The cosines over all layers, smoothed."""
    smooth = [moving_mean(pair.steps, pair.cosines[WHOLE]) for pair in pairs]
    values = [0.0, *(value for _, column in smooth for value in column.tolist())]
    chart = frame((0.0, float(max(pair.steps[-1] for pair in pairs))), span_of(values), 12.0, width=430.0, height=260.0)
    marks = [chart.axes("step", "cosine, all layers, moving mean"), level(chart, 0.0, "axis")]
    for colour, (steps, column) in enumerate(smooth):
        if len(steps):
            marks.append(line(chart, list(zip(steps.tolist(), column.tolist(), strict=True)), colour))
    names = [" and ".join(pair.tasks) for pair in pairs]
    key = [tag("li", tag("i", class_=f"k{colour % COLOURS}"), name) for colour, name in enumerate(names)]
    told = "; ".join(
        f"{name}: mean {signed(mean(pair.cosines[WHOLE]))}" for name, pair in zip(names, pairs, strict=True)
    )
    chart_ = picture("Cosine of each pair over the steps", told, chart.width, chart.height, *marks)
    return tag("figure", tag("figcaption", "over the steps"), tag("ul", *key, class_="key"), chart_)


def _map(pair: Pair, limit: float) -> Html:
    """Layers upwards, steps to the right."""
    groups = [group for group in pair.cosines if group != WHOLE]
    parts = np.array_split(np.arange(len(pair.steps)), min(COLUMNS, len(pair.steps)))
    width, row = 430.0, min(22.0, 220.0 / len(groups))
    height = row * len(groups) + 34
    left = 76.0
    step = (width - left - 8) / len(parts)
    cells = []
    for place, group in enumerate(reversed(groups)):
        y = 6 + row * place
        cells.append(tag("text", group, x=left - 6, y=y + row / 2 + 3.5, class_="end"))
        for column, part in enumerate(parts):
            value = mean(pair.cosines[group][part])
            kind = "cell" if value is None else "against" if value < 0 else "along"
            strength = 0.4 if value is None else min(1.0, abs(value) / limit)
            where = {"x": left + step * column, "y": y, "width": step + 0.3, "height": row - 1.5}
            cells.append(tag("rect", **where, class_=kind, fill_opacity=f"{strength:.2f}"))
    for column in sorted({0, len(parts) // 2, len(parts) - 1}):
        middle = left + step * (column + 0.5)
        cells.append(tag("text", f"{pair.steps[parts[column][0]]:,}", x=middle, y=height - 14, class_="middle"))
    cells.append(tag("text", "step", x=width - 8, y=height - 2, class_="end"))
    whole = pair.summary(WHOLE)
    told = f"cosine {signed(whole['cosine'])}, below 0 in {share(whole)} of the steps"
    name = " and ".join(pair.tasks)
    caption = tag("figcaption", tag("strong", name), f": {told}")
    lowest = min(groups, key=lambda group: mean(pair.cosines[group]) or 0.0)
    about = f"{told}; the lowest mean is in {lowest}"
    return tag("figure", caption, picture(f"Cosine of {name} by layer and step", about, width, height, join(cells)))
