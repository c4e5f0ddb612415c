"""Whether a probability means what it says."""

import math

from minbert.reporting.page.chart import Frame, frame, line, picture
from minbert.reporting.page.html import Html, tag
from minbert.reporting.page.material import Material
from minbert.reporting.page.section import Section, grid
from minbert.training.answers import Answered
from minbert.training.details import calibration, fit_rows

Bins = list[dict[str, float]]


def reliability(made: Material) -> Section | None:
    """A chart for each task with probabilities; None where no task has any."""
    if all(task.kind == "rating" for task in made.tasks.values()):
        return None
    # The cosine of an embedding against a threshold is no logit, and says nothing of a probability.
    by_head = {name for name, task in made.result["tasks"].items() if task["scored_by"] == "head"}
    found = {name: splits for name, splits in made.answered("classes", "yes_no").items() if name in by_head}
    if not found:
        return Section("Reliability", absent=made.missing.get("answers", "no head with probabilities was trained"))
    charts = [_figure(name, splits) for name, splits in found.items()]
    lead = "Of the answers given with a confidence of 80 %, 80 % should be right: points on the diagonal are honest."
    return Section("Reliability", lead, (grid(*charts),))


def _figure(name: str, splits: dict[str, Answered]) -> Html:
    dev = splits["dev"]
    found = calibration(dev.scores.double().numpy(), dev.labels.long().numpy(), fit_rows(splits, same=True))
    before, after = found["before"], found["after"]
    heat = " and ".join(f"{temperature:.2f}" for temperature in found["temperature"])
    told = f"ECE {before['ece_equal_width']:.3f}; {after['ece_equal_width']:.3f} with temperature {heat}, fitted on "
    told += found["fitted_on"]
    made = frame((0.0, 1.0), (0.0, 1.0), width=300.0, height=270.0)
    marks = [made.axes("confidence", "accuracy"), line(made, [(0.0, 0.0), (1.0, 1.0)], 5, "thin")]
    for colour, state in enumerate((before, after)):
        marks += _points(made, state["reliability"], colour)
    words = ["as it is", "with the temperature"]
    key = [tag("li", tag("i", class_=f"k{i}"), word) for i, word in enumerate(words)]
    caption = tag("figcaption", tag("strong", name), f": {told}")
    chart = picture(f"Reliability of {name}", told, made.width, made.height, *marks)
    return tag("figure", caption, tag("ul", *key, class_="key"), chart)


def _points(made: Frame, bins: Bins, colour: int) -> list[Html]:
    points = [(part["confidence"], part["right"]) for part in bins]
    largest = max(part["rows"] for part in bins)
    sized = [
        tag(
            "circle",
            tag("title", f"{part['rows']:,} rows: confidence {x:.2f}, right {y:.2f}"),
            cx=made.x(x),
            cy=made.y(y),
            r=2.5 + 4.5 * math.sqrt(part["rows"] / largest),
            class_=f"f{colour}",
        )
        for (x, y), part in zip(points, bins, strict=True)
    ]
    return [line(made, points, colour, "dashed" if colour else ""), *sized]
