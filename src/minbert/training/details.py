"""Where a model errs: calibration, score by length and by rating, the worst answers with their texts."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from minbert.metrics import accuracy, pearson
from minbert.statistics import (
    equal_mass,
    equal_width,
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
    probabilities,
    reliability,
)
from minbert.tasks import Split, Task
from minbert.training.answers import Answered
from minbert.training.scoring import class_names, scores_of

Numbers = npt.NDArray[np.float64]
PARTS = 5
"""Into how many parts lengths and the range of a rating are cut."""


@dataclass(frozen=True)
class FitRows:
    """What the temperature is fitted on.

    Attributes:
        said: what these rows are.
        answered: the rows; None: the halves of the rows that are looked at, each for the other.
    """

    said: str
    answered: Answered | None


def fit_rows(splits: dict[str, Answered], same: bool) -> FitRows:
    """Rows that are not the ones looked at: those held out to select on, else dev, else halves.

    Args:
        splits: of the run's answers to the task; empty where it keeps none.
        same: whether the rows looked at are dev itself.
    """
    if "select" in splits:
        return FitRows("the rows held out to select on", splits["select"])
    if "dev" in splits and not same:
        return FitRows("the run's dev rows", splits["dev"])
    return FitRows("halves of these rows, each for the other, as the run has no others", None)


def details(name: str, task: Task, rows: Split, scores: Tensor, fit: FitRows, worst: int) -> dict[str, Any]:
    """All that can be said of a task's answers on labelled rows.

    Args:
        name: of the task.
        task: what it is.
        rows: texts and labels.
        scores: as the head gives them, (rows, outputs).
        fit: what the temperature is fitted on; a rating has none.
        worst: how many of the worst answers, 0 or more.
    """
    labels, answers = rows.labels.numpy(), task.answers(scores)
    lengths = np.array([sum(len(text.split()) for text in texts) for texts in zip(*rows.columns, strict=True)])
    found = scores_of(name, task, rows.labels, scores)
    found["by_length"] = [
        {"words": [int(lengths[part].min()), int(lengths[part].max())], **_scored(task, labels[part], answers[part])}
        for _, _, part in _parts(lengths, equal_mass(lengths.astype(np.float64), PARTS))
    ]
    if task.kind == "rating":
        edges = np.linspace(*task.bounds, PARTS + 1)
        found["by_rating"] = [
            {"rating": [float(low), float(high)], "bias": float((answers[part] - labels[part]).mean())}
            | _scored(task, labels[part], answers[part])
            for low, high, part in _parts(labels, edges)
        ]
    else:
        found["calibration"] = calibration(scores.double().numpy(), labels.astype(np.int64), fit)
    found["worst"] = _worst(task, rows, scores, worst)
    return found


def _parts(values: npt.NDArray[Any], edges: Numbers) -> list[tuple[float, float, npt.NDArray[np.bool_]]]:
    """The rows between each two edges, the upper one included; empty parts are left out."""
    place = np.clip(np.searchsorted(edges, values, side="left"), 1, len(edges) - 1)
    return [(edges[i - 1], edges[i], place == i) for i in range(1, len(edges)) if (place == i).any()]


def _scored(task: Task, labels: npt.NDArray[Any], answers: npt.NDArray[Any]) -> dict[str, Any]:
    if task.kind != "rating":
        return {"rows": len(labels), "accuracy": accuracy(labels, answers)}
    error = float(np.abs(answers - labels).mean())
    return {"rows": len(labels), "mean_absolute_error": error, "pearson": pearson(labels, answers)}


def calibration(scores: Numbers, labels: npt.NDArray[np.int64], fit: FitRows) -> dict[str, Any]:
    """Negative log likelihood, ECE and reliability of the answers' probabilities, as they are and with temperature.

    Args:
        scores: logits, (rows, classes), or (rows, 1) for yes/no.
        labels: (rows,).
        fit: what the temperature is fitted on.
    """
    if fit.answered is None:
        # Every second row of a fixed shuffle: files are often sorted by something.
        first = np.isin(np.arange(len(labels)), np.random.default_rng(0).permutation(len(labels))[::2])
        halves = [first, ~first] if len(labels) > 1 else [first, first]
        temperatures = [fit_temperature(scores[half], labels[half]) for half in halves]
        cooled = scores / np.where(first, temperatures[1], temperatures[0])[:, None]
    else:
        ours = fit.answered
        temperatures = [fit_temperature(ours.scores.double().numpy(), ours.labels.long().numpy())]
        cooled = scores / temperatures[0]
    found: dict[str, Any] = {"temperature": temperatures, "fitted_on": fit.said}
    return found | {"before": _calibrated(scores, labels), "after": _calibrated(cooled, labels)}


def _calibrated(scores: Numbers, labels: npt.NDArray[np.int64]) -> dict[str, Any]:
    table = probabilities(scores)
    confidence, right = table.max(axis=1), table.argmax(axis=1) == labels
    bins = reliability(confidence, right, equal_width())
    return {
        "nll": negative_log_likelihood(scores, labels),
        "ece_equal_width": expected_calibration_error(bins),
        "ece_equal_mass": expected_calibration_error(reliability(confidence, right, equal_mass(confidence))),
        "reliability": [asdict(part) for part in bins],
    }


def worst_rows(task: Task, labels: Tensor, scores: Tensor, most: int) -> list[int]:
    """The wrong answers whose label the model thought least likely; for a rating those farthest off; the worst first.

    Args:
        task: what it is.
        labels: (rows,).
        scores: as the head gives them, (rows, outputs).
        most: how many, 0 or more.
    """
    truth, answers = labels.numpy(), task.answers(scores)
    if task.kind == "rating":
        badness = np.abs(answers - truth)
    else:
        table = probabilities(scores.double().numpy())
        badness = np.where(answers == truth, 0.0, 1 - table[np.arange(len(truth)), truth.astype(np.int64)])
    order = np.argsort(-badness, kind="stable")[:most]
    return [int(row) for row in order if badness[row] > 0]


def _worst(task: Task, rows: Split, scores: Tensor, most: int) -> list[dict[str, Any]]:
    """The worst answers with their texts."""
    labels, answers, names = rows.labels.numpy(), task.answers(scores), class_names(task)
    table = probabilities(scores.double().numpy()) if names else scores
    found = []
    for i in worst_rows(task, rows.labels, scores, most):
        said: dict[str, Any]
        if names:
            said = {"label": names[int(labels[i])], "answer": names[int(answers[i])]}
            said["probability"] = float(table[i, int(answers[i])])
        else:
            said = {"label": float(labels[i]), "answer": float(answers[i]), "error": float(answers[i] - labels[i])}
        found.append({"place": rows.places[i], **said, "texts": [column[i] for column in rows.columns]})
    return found
