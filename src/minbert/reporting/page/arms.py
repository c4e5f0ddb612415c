"""Charts of an experiment: a dot for every seed, curves by arm."""

import math
from collections.abc import Callable
from typing import Any

from minbert.reporting.page.chart import COLOURS, Scale, compact, figure, frame, labels, line, picture, span_of
from minbert.reporting.page.html import Html, tag
from minbert.reporting.page.section import grid

ROW, WIDTH = 30.0, 360.0
Interval = Callable[[list[float]], tuple[float, float]]
Epochs = dict[tuple[str, int], list[dict[str, Any]]]
Points = list[tuple[float, float]]
"""Epoch, from 1, and score."""


def seed_dots(found: dict[str, dict[str, dict[int, float]]], interval: Interval) -> Html:
    """A chart for each column: arms as rows, a dot for every seed, mean and interval.

    Args:
        found: scores by column, arm and seed.
        interval: mean and half width of some values.
    """
    return grid(*(_dots(column, arms, interval) for column, arms in found.items() if any(arms.values())))


def _dots(column: str, arms: dict[str, dict[int, float]], interval: Interval) -> Html:
    means = {arm: interval(list(scores.values())) for arm, scores in arms.items() if scores}
    ends = [mean + way * half for mean, half in means.values() if not math.isnan(half) for way in (-1, 1)]
    low, high = span_of([*ends, *(value for scores in arms.values() for value in scores.values())])
    x, height = Scale(low, high, 8.0, WIDTH - 20), 30 + (ROW + 8) * len(arms)
    ticks = x.ticks()
    step = ticks[1] - ticks[0] if len(ticks) > 1 else 0.0
    marks, told = [], []
    for tick in ticks:
        marks.append(tag("line", x1=x(tick), x2=x(tick), y1=6.0, y2=height - 22, class_="grid"))
        marks.append(tag("text", compact(tick, step), x=x(tick), y=height - 6, class_="middle"))
    for place, (arm, scores) in enumerate(arms.items()):
        y, colour = 26 + (ROW + 8) * place, place % COLOURS
        marks.append(tag("text", arm, x=8.0, y=y - 9, class_="strong"))
        if not scores:
            marks.append(tag("text", "no finished run", x=8.0, y=y + 6))
            continue
        mean, half = means[arm]
        if not math.isnan(half):
            marks.append(tag("line", x1=x(mean - half), x2=x(mean + half), y1=y + 2, y2=y + 2, class_=f"bar s{colour}"))
        marks.append(tag("line", x1=x(mean), x2=x(mean), y1=y - 5, y2=y + 9, class_=f"line s{colour}"))
        for seed, value in scores.items():
            title = tag("title", f"{arm}, seed {seed}: {value:.3f}")
            marks.append(tag("circle", title, cx=x(value), cy=y + 2, r=4.0, class_=f"f{colour}"))
        told.append(f"{arm}: mean {mean:.3f} of {len(scores)}")
    return figure(column, picture(f"Scores on {column} by arm", "; ".join(told), WIDTH, height, *marks))


def arm_curves(epochs: Epochs, arms: list[str], tasks: dict[str, str]) -> Html:
    """A chart for each task: a thin line for every run, a thick one for the mean of its arm."""
    charts = []
    for task, metric in tasks.items():
        runs: dict[str, list[Points]] = {arm: [] for arm in arms}
        for (arm, _), lines in epochs.items():
            scores = [epoch["dev"].get(task, {}).get(metric) for epoch in lines]
            # A stage that cannot score the task leaves a gap.
            points = [(float(epoch), score) for epoch, score in enumerate(scores, 1) if score is not None]
            runs[arm] += [points] if points else []
        if any(runs.values()):
            charts.append(_curves(f"{task}, {metric}", runs))
    return grid(*charts)


def numbered(scores: list[float]) -> list[tuple[float, float]]:
    """Scores of the epochs, from the first, as points."""
    return [(float(epoch), score) for epoch, score in enumerate(scores, 1)]


def _mean_of(found: list[Points]) -> Points:
    """The mean at each epoch that all runs have."""
    shared = set.intersection(*({epoch for epoch, _ in points} for points in found)) if found else set()
    by_epoch = [dict(points) for points in found]
    return [(epoch, sum(scores[epoch] for scores in by_epoch) / len(by_epoch)) for epoch in sorted(shared)]


def _curves(caption: str, runs: dict[str, list[Points]]) -> Html:
    every = [point for found in runs.values() for points in found for point in points]
    longest = max(epoch for epoch, _ in every)
    chart = frame((0.7, longest + 0.3), span_of([score for _, score in every]), 78.0)
    marks, ends, told = [chart.axes("epoch", whole=True)], [], []
    for number, (arm, found) in enumerate(runs.items()):
        colour = number % COLOURS
        kind = "" if number < COLOURS else "dashed"
        marks += [line(chart, points, colour, "thin") for points in found]
        if mean := _mean_of(found):
            marks.append(line(chart, mean, colour, kind))
            ends.append((mean[-1][1], arm, f"f{colour}"))
            told.append(f"{arm}: " + ", ".join(f"{score:.3f}" for _, score in mean))
    marks.append(labels(chart, ends))
    return figure(caption, picture(caption, "; ".join(told), chart.width, chart.height, *marks))
