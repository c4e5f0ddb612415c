"""Scales, ticks and labels."""

import re
from itertools import pairwise

import pytest

from minbert.reporting.page.chart import Scale, compact, frame, labels, span_of


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 1.0, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (-0.03, 0.021, [-0.03, -0.02, -0.01, 0, 0.01, 0.02]),
        (1.0, 1000.0, [200, 400, 600, 800, 1000]),
        (3.0, 3.0, [3]),
    ],
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    assert Scale(low, high, 0.0, 100.0).ticks() == pytest.approx(expected)


def test_a_scale_without_a_span_points_to_the_middle() -> None:
    assert Scale(2.0, 2.0, 0.0, 100.0)(2.0) == 50


def test_numbers_have_the_places_that_tell_ticks_apart() -> None:
    assert [compact(0.0, 0.2), compact(-0.0, 0.01), compact(-0.02, 0.01), compact(1200.0, 200.0)] == [
        "0.0",
        "0.00",
        "-0.02",
        "1,200",
    ]


def test_a_span_has_room_and_a_least_width() -> None:
    low, high = span_of([0.5])
    assert low < 0.5 < high and high - low >= 0.02
    assert span_of([0.0, 1.0]) == pytest.approx((-0.08, 1.08))


def test_labels_do_not_overlap_and_stay_in_the_frame() -> None:
    made = frame((0.0, 1.0), (0.0, 1.0))
    drawn = labels(made, [(0.0, "a", ""), (0.01, "b", ""), (0.02, "c", ""), (0.9, "d", "")])
    places = [float(y) for y in re.findall(r' y="([\d.]+)"', drawn)]
    assert re.findall(r">(\w)<", drawn) == ["d", "c", "b", "a"]
    assert all(b - a >= 12.9 for a, b in pairwise(places))
    assert places[-1] <= made.y.start + 4
    assert labels(made, []) == ""
