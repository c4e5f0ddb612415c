"""Small charts in SVG: scales, axes, labels that do not overlap. Colours come from the page's style."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from minbert.reporting.page.html import Html, join, tag

WIDTH, HEIGHT = 340.0, 220.0
COLOURS = 6
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Scale:
    """From values to places in the picture.

    Attributes:
        low: the value at `start`.
        high: the value at `end`.
        start: its place.
        end: its place.
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The place of a value."""
        span = self.high - self.low
        return self.start + (self.end - self.start) * ((value - self.low) / span if span else 0.5)

    def ticks(self, count: int = 6) -> list[float]:
        """About so many round values within the scale."""
        step = _round_step((self.high - self.low) / count) if self.high > self.low else 1.0
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [number * step for number in range(first, last + 1)]


def _round_step(rough: float) -> float:
    power: float = 10 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= rough * 0.999)


def span_of(values: Sequence[float], least: float = 0.02) -> tuple[float, float]:
    """A range that holds all values with some room; at least so wide."""
    low, high = min(values), max(values)
    room = max((high - low) * 0.08, (least - (high - low)) / 2, 1e-9)
    return low - room, high + room


def compact(value: float, step: float = 0.0) -> str:
    """A tick's number with as many places as the step between ticks asks for."""
    places = max(0, -math.floor(math.log10(step) + 1e-9)) if step else 3
    text = f"{value:,.{places}f}"
    return text if float(text.replace(",", "")) else text.lstrip("-")


@dataclass(frozen=True)
class Frame:
    """The room of a chart, with its scales.

    Attributes:
        x: from left to right.
        y: from bottom to top.
        width: of the whole picture.
        height: of the whole picture.
    """

    x: Scale
    y: Scale
    width: float = WIDTH
    height: float = HEIGHT

    def axes(self, x_name: str = "", y_name: str = "", whole: bool = False) -> Html:
        """Grid lines, numbers, names of the axes; `whole`: only whole numbers stand below."""
        x_ticks = [tick for tick in self.x.ticks() if not whole or abs(tick - round(tick)) < 1e-9]
        y_ticks = self.y.ticks()
        steps = [ticks[1] - ticks[0] if len(ticks) > 1 else 0.0 for ticks in (x_ticks, y_ticks)]
        parts = []
        for tick in y_ticks:
            at = self.y(tick)
            parts.append(tag("line", x1=self.x.start, x2=self.x.end, y1=at, y2=at, class_="grid"))
            parts.append(tag("text", compact(tick, steps[1]), x=self.x.start - 6, y=at + 3.5, class_="end"))
        for tick in x_ticks:
            shown = f"{tick:.0f}" if whole else compact(tick, steps[0])
            parts.append(tag("text", shown, x=self.x(tick), y=self.y.start + 16, class_="middle"))
        parts.append(tag("line", x1=self.x.start, x2=self.x.end, y1=self.y.start, y2=self.y.start, class_="axis"))
        if x_name:
            parts.append(tag("text", x_name, x=self.x.end, y=self.height - 3, class_="end name"))
        if y_name:
            parts.append(tag("text", y_name, x=self.x.start, y=self.y.end - 8, class_="name"))
        return join(parts)


def frame(
    xs: tuple[float, float], ys: tuple[float, float], right: float = 12.0, width: float = WIDTH, height: float = HEIGHT
) -> Frame:
    """A frame with room for numbers on the left and below, and for labels on the right."""
    return Frame(Scale(*xs, 40.0, width - right), Scale(*ys, height - 36.0, 22.0), width, height)


def picture(title: str, description: str, width: float, height: float, *marks: str) -> Html:
    """A chart that a screen reader can tell of, and that is never drawn larger than 1.3 times."""
    inner = [tag("title", title), tag("desc", description), *marks]
    style = f"max-width:{width * 1.3:.0f}px"
    return tag("svg", *inner, viewBox=f"0 0 {width:g} {height:g}", role="img", style=style)


def figure(caption: str, *parts: str) -> Html:
    """A chart under its caption."""
    return tag("figure", tag("figcaption", caption), *parts)


def line(frame: Frame, points: Points, colour: int, kind: str = "") -> Html:
    """A line through points; kind: `dashed`, `dotted` or nothing."""
    path = "M" + "L".join(f"{frame.x(x):.1f} {frame.y(y):.1f}" for x, y in points)
    return tag("path", d=path, class_=f"line s{colour % COLOURS} {kind}".strip())


def dots(frame: Frame, points: Points, colour: int, kind: str = "dot") -> Html:
    """Points, as one element however many they are."""
    path = "".join(f"M{frame.x(x):.1f} {frame.y(y):.1f}h0" for x, y in points)
    return tag("path", d=path, class_=f"{kind} s{colour % COLOURS}")


def level(frame: Frame, value: float, kind: str = "floor") -> Html:
    """A horizontal line at a value."""
    at = frame.y(value)
    return tag("line", x1=frame.x.start, x2=frame.x.end, y1=at, y2=at, class_=kind)


def labels(frame: Frame, named: Sequence[tuple[float, str, str]], gap: float = 13.0) -> Html:
    """Labels to the right of the frame, moved apart where they would overlap.

    Args:
        frame: of the chart.
        named: value, text and class of each.
        gap: the least distance, in pixels.
    """
    wanted = sorted((frame.y(value), text, kind) for value, text, kind in named)
    places: list[float] = []
    for at, _, _ in wanted:
        places.append(max(at, places[-1] + gap) if places else at)
    below = max(0.0, places[-1] - frame.y.start) if places else 0.0
    for number in reversed(range(len(places))):
        limit = places[number + 1] - gap if number + 1 < len(places) else places[number] - below
        places[number] = min(places[number], limit)
    x = frame.x.end + 6
    return join(tag("text", t, x=x, y=at + 3.5, class_=kind) for at, (_, t, kind) in zip(places, wanted, strict=True))
