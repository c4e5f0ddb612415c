"""Whether a probability means what it says."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from minbert.reporting.page.chart import Frame, frame, line, picture
from minbert.reporting.page.html import Html, tag
from minbert.reporting.page.material import Material
from minbert.reporting.page.section import Section, grid
from minbert.training.answers import Answered

BINS = 10
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Reliability:
    """Confidence against accuracy, in bins of equal width.

    Attributes:
        confidence: the mean of each bin that holds rows.
        accuracy: of each.
        rows: in each.
    """

    confidence: Numbers
    accuracy: Numbers
    rows: npt.NDArray[np.int64]

    @property
    def error(self) -> float:
        """The expected calibration error: `sum_b rows_b / rows |accuracy_b - confidence_b|`."""
        return float((self.rows * np.abs(self.accuracy - self.confidence)).sum() / self.rows.sum())


def reliability_of(logits: Numbers, labels: npt.NDArray[np.int64], temperature: float = 1.0) -> Reliability:
    """The reliability of the most probable class.

    Args:
        logits: (rows, classes).
        labels: (rows,).
        temperature: that the logits are divided by.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", equation 3.
    """
    scaled = torch.from_numpy(logits / temperature).softmax(1).numpy()
    confidence, right = scaled.max(1), (scaled.argmax(1) == labels).astype(float)
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    rows = np.bincount(bins, minlength=BINS)
    some = rows > 0
    sums = [np.bincount(bins, weights, BINS)[some] / rows[some] for weights in (confidence, right)]
    return Reliability(sums[0], sums[1], rows[some])


def temperature_of(logits: Numbers, labels: npt.NDArray[np.int64]) -> float:
    """The temperature under which the labels are most probable, from 1/20 to 20."""
    from scipy.optimize import minimize_scalar

    places = np.arange(len(labels))

    def loss(power: float) -> float:
        return float(-torch.from_numpy(logits / np.exp(power)).log_softmax(1).numpy()[places, labels].mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-3.0, 3.0), method="bounded").x))


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


def _logits(found: Answered) -> tuple[Numbers, npt.NDArray[np.int64]]:
    scores: Tensor = found.scores.double()
    if scores.shape[1] == 1:
        scores = torch.cat([torch.zeros_like(scores), scores], dim=1)
    return scores.numpy(), found.labels.long().numpy()


def _figure(name: str, splits: dict[str, Answered]) -> Html:
    logits, labels = _logits(splits["dev"])
    before = reliability_of(logits, labels)
    told = f"ECE {before.error:.3f}"
    if "select" in splits:
        heat = temperature_of(*_logits(splits["select"]))
        after = reliability_of(logits, labels, heat)
        told += f"; {after.error:.3f} with temperature {heat:.2f}, fitted on the select split"
    else:
        after = None
        told += "; no temperature: the recipe holds no select split out to fit one on"
    made = frame((0.0, 1.0), (0.0, 1.0), width=300.0, height=270.0)
    marks = [made.axes("confidence", "accuracy"), line(made, [(0.0, 0.0), (1.0, 1.0)], 5, "thin")]
    for colour, found in enumerate([before, after]):
        if found is not None:
            marks += _points(made, found, colour)
    words = ["as it is", "with the temperature"] if after else []
    key = [tag("li", tag("i", class_=f"k{i}"), word) for i, word in enumerate(words)]
    caption = tag("figcaption", tag("strong", name), f": {told}")
    chart = picture(f"Reliability of {name}", told, made.width, made.height, *marks)
    return tag("figure", caption, tag("ul", *key, class_="key"), chart)


def _points(made: Frame, found: Reliability, colour: int) -> list[Html]:
    points = list(zip(found.confidence.tolist(), found.accuracy.tolist(), strict=True))
    largest = found.rows.max()
    sized = [
        tag(
            "circle",
            tag("title", f"{n:,} rows: confidence {x:.2f}, accuracy {y:.2f}"),
            cx=made.x(x),
            cy=made.y(y),
            r=2.5 + 4.5 * float(np.sqrt(n / largest)),
            class_=f"f{colour}",
        )
        for (x, y), n in zip(points, found.rows.tolist(), strict=True)
    ]
    return [line(made, points, colour, "dashed" if colour else ""), *sized]
