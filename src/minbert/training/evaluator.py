"""Scores of tasks on splits: by the head, or by the embeddings alone."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from minbert.encoder import folded
from minbert.errors import TrainingError
from minbert.inference import embed_rows, score_rows
from minbert.metrics import norm_mean, raw_mean
from minbert.randomness import generator
from minbert.tasks import Split, Task
from minbert.text.batches import Texts, texts_of
from minbert.training.setup import Setup

Advance = Callable[[int], None]
THRESHOLD_ROWS = 2000
"""Rows of train on which the cosine threshold of a yes/no task is chosen."""


@dataclass(frozen=True)
class Scored:
    """Scores of every row of a split, (rows, outputs), in the form in which the task's head gives them."""

    task: Task
    labels: Tensor
    scores: Tensor

    def metrics(self, keep: npt.NDArray[np.bool_] | None = None) -> dict[str, float]:
        """Every metric of the kind, on all rows or on those that are kept."""
        rows = slice(None) if keep is None else torch.from_numpy(keep)
        return self.task.scores(self.labels[rows], self.scores[rows])


def sample(setup: Setup, task: str, split: str, most: int) -> tuple[Split, Texts]:
    """At most so many rows of a split, drawn once a run, with their ids."""
    rows, texts = setup.data[task].splits[split], setup.texts[task, split]
    if len(rows) <= most:
        return rows, texts
    drawn = torch.randperm(len(rows), generator=generator(setup.recipe.seed, task, split, "sample"))[:most]
    part = rows.rows(np.sort(drawn.numpy()))
    return part, texts_of(part.columns, setup.model.tokenizer)


def by_head(setup: Setup, task: str, rows: Split, texts: Texts, advance: Advance) -> Scored:
    """What the task's head says."""
    return Scored(setup.model.tasks[task], rows.labels, _finite(task, score_rows(setup.model, task, texts, advance)))


def by_embedding(setup: Setup, task: str, rows: Split, advance: Advance) -> Scored | None:
    """What the cosine of the two texts says; None for tasks that a cosine says nothing of."""
    if not _has_cosine(setup.model.tasks[task]):
        return None
    return by_cosine(setup, task, rows, embed_columns(setup, rows, advance), advance)


def by_cosine(setup: Setup, task: str, rows: Split, columns: list[Tensor], advance: Advance) -> Scored | None:
    """The cosine of embedded columns: scaled for a rating, against a threshold for yes/no; None for the rest.

    The threshold is the one with the best accuracy on 2,000 rows of train. A rating is scaled as the cosine head scales
    it: 0 is the lowest, 1 the highest.
    """
    spec = setup.model.tasks[task]
    if not _has_cosine(spec):
        return None
    cosines = _finite(task, (columns[0] * columns[1]).sum(1))
    if spec.kind == "rating":
        return Scored(spec, rows.labels, cosines[:, None])
    train, _ = sample(setup, task, "train", THRESHOLD_ROWS)
    left, right = embed_columns(setup, train, advance)
    threshold = best_threshold((left * right).sum(1).numpy(), train.labels.numpy())
    return Scored(spec, rows.labels, (cosines - threshold)[:, None])


def _finite(task: str, scores: Tensor) -> Tensor:
    """The scores, if all are numbers.

    Raises:
        TrainingError: some are not; a metric would say nothing, and the best checkpoint would be anyone's.
    """
    if not torch.isfinite(scores).all():
        raise TrainingError(
            f"task {task!r}: the scores are not finite, so the weights have overflowed; "
            'a lower lr, or precision = "float32", is the usual remedy'
        )
    return scores


def _has_cosine(task: Task) -> bool:
    return task.is_pair and task.kind != "classes"


def embed_columns(setup: Setup, rows: Split, advance: Advance) -> list[Tensor]:
    """Normalised embeddings of each column of texts; equal texts are computed once."""
    distinct = {text: i for i, text in enumerate(dict.fromkeys(text for column in rows.columns for text in column))}
    texts = texts_of([tuple(distinct)], setup.model.tokenizer)
    vectors = F.normalize(embed_rows(setup.model.encoder, texts, setup.model.embedding_pooling, advance), dim=-1)
    return [vectors[[distinct[text] for text in column]] for column in rows.columns]


def best_threshold(cosines: npt.NDArray[Any], labels: npt.NDArray[Any]) -> float:
    """The threshold with the best accuracy: between two neighbouring cosines, or beyond the ends."""
    order = np.argsort(cosines)
    ordered, yes = cosines[order], labels[order]
    # right[i]: rows answered rightly when the i lowest are answered no.
    right = np.concatenate([[0], np.cumsum(1 - yes)]) + yes.sum() - np.concatenate([[0], np.cumsum(yes)])
    # No threshold can stand between two that are equal.
    apart = np.concatenate([[True], ordered[1:] > ordered[:-1], [True]])
    best = int(np.argmax(np.where(apart, right, -1)))
    edges = np.concatenate([[ordered[0] - 1], (ordered[1:] + ordered[:-1]) / 2, [ordered[-1] + 1]])
    return float(edges[best])


def evaluate(setup: Setup, split: str, heads: set[str], advance: Advance, most: int | None = None) -> dict[str, Scored]:
    """Scores of all tasks that can be scored, by task.

    Args:
        setup: model and rows.
        split: `dev`, `select`, `train`, ...
        heads: tasks whose head has been trained; the others are scored by the embeddings alone, if they are pairs.
        advance: hears the tokens that were read.
        most: rows of each task; None: all.
    """
    found: dict[str, Scored] = {}
    for task in setup.model.tasks:
        rows, texts = sample(setup, task, split, most or len(setup.data[task].splits[split]))
        # In bfloat16 a weight is rounded with what LoRA adds to it: what is scored is what a checkpoint holds.
        with folded(setup.model.encoder):
            on_head = task in heads
            scored = by_head(setup, task, rows, texts, advance) if on_head else by_embedding(setup, task, rows, advance)
        if scored is not None:
            found[task] = scored
    return found


def metrics(found: Mapping[str, Scored]) -> dict[str, dict[str, float]]:
    """Every metric of each task."""
    return {task: scored.metrics() for task, scored in found.items()}


def means(tasks: dict[str, Task], scores: dict[str, dict[str, float]]) -> dict[str, float]:
    """The raw and the norm mean of the tasks' own metrics; empty unless all tasks have a score."""
    if set(scores) != set(tasks):
        return {}
    own = {name: scores[name][task.scored_by] for name, task in tasks.items()}
    return {"raw": raw_mean(own), "norm": norm_mean(own, correlations(tasks))}


def correlations(tasks: dict[str, Task]) -> set[str]:
    """The tasks whose metric is a correlation."""
    return {name for name, task in tasks.items() if task.scored_by in ("pearson", "spearman")}
