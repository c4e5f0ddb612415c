"""Calibration and errors of one task, for the terminal."""

from typing import Any

from minbert.reporting.grid import Grid
from minbert.reporting.tables import number

Found = dict[str, Any]


def detail_grids(found: Found) -> list[Grid]:
    """Calibration, then the score by length and by rating."""
    grids = []
    if "calibration" in found:
        grids += [_calibration(found["calibration"]), _reliability(found["calibration"])]
    if "by_rating" in found:
        rows = [
            ["{:.1f} to {:.1f}".format(*part["rating"]), *_scores(part), f"{part['bias']:+.3f}"]
            for part in found["by_rating"]
        ]
        grids.append(Grid("by rating", ["rating", *_names(found["by_rating"]), "bias"], rows))
    rows = [["{} to {}".format(*part["words"]), *_scores(part)] for part in found["by_length"]]
    return [*grids, Grid("by length", ["words", *_names(found["by_length"])], rows)]


def _calibration(found: Found) -> Grid:
    rows = [
        [name, *(number(found[when][key]) for key in ("nll", "ece_equal_width", "ece_equal_mass"))]
        for name, when in (("as it is", "before"), ("with temperature", "after"))
    ]
    temperature = " and ".join(f"{value:.2f}" for value in found["temperature"])
    title = f"calibration: temperature {temperature}, fitted on {found['fitted_on']}"
    return Grid(title, ["", "-log p", "ECE equal width", "ECE equal mass"], rows)


def _reliability(found: Found) -> Grid:
    """The bins before and after, beside each other."""
    by_edge: dict[float, dict[str, Found]] = {}
    for when in ("before", "after"):
        for part in found[when]["reliability"]:
            by_edge.setdefault(part["low"], {})[when] = part
    rows = []
    for _, bins in sorted(by_edge.items()):
        edges = next(iter(bins.values()))
        cells = []
        for when in ("before", "after"):
            part = bins.get(when)
            cells += [f"{part['rows']:,}", number(part["confidence"]), number(part["right"])] if part else ["-"] * 3
        rows.append([f"{edges['low']:.1f} to {edges['high']:.1f}", *cells])
    columns = ["probability", "rows", "mean", "right", "rows after", "mean after", "right after"]
    return Grid("reliability: the stated probability of the answer, and the share that was right", columns, rows)


def _names(parts: list[Found]) -> list[str]:
    return [{"mean_absolute_error": "mean error"}.get(key, key) for key in parts[0] if key in SHOWN]


def _scores(part: Found) -> list[str]:
    return [f"{part[key]:,}" if key == "rows" else number(part[key]) for key in part if key in SHOWN]


SHOWN = ("rows", "accuracy", "mean_absolute_error", "pearson")


def worst_lines(found: Found) -> list[tuple[int, str]]:
    """The worst answers, each with its place, what was said, and its texts; a line and how far it is indented."""
    lines = [(0, f"worst answers of {found['task']}:")] if found["worst"] else []
    for one in found["worst"]:
        if "error" in one:
            said = f"label {one['label']:.2f}, answer {one['answer']:.2f}"
        else:
            said = f"label {one['label']}, answer {one['answer']} ({one['probability']:.0%})"
        lines.append((2, f"{one['place']}: {said}"))
        lines += [(4, text) for text in one["texts"]]
    return lines
