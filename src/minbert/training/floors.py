"""What a score must beat: the trivial answer, and the untouched encoder under a simple model."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from minbert.metrics import METRICS
from minbert.tasks import Split, Task
from minbert.training.evaluator import THRESHOLD_ROWS, by_cosine, embed_columns, sample
from minbert.training.setup import Setup

FROZEN_ROWS = 4000
"""Rows of train that the simple models learn from: more takes long and moves little."""

Advance = Callable[[int], None]


def floors(setup: Setup, advance: Advance) -> dict[str, dict[str, Any]]:
    """The floors of every task on dev, by task. To be called before training.

    Returns:
        By task: `trivial` (the most frequent class of train, or a constant), `frozen` (logistic or ridge regression on
        the untouched encoder's embeddings of at most 4,000 rows) and, for pairs, `untouched` (their cosine alone).
    """
    found = {}
    for name, spec in setup.model.tasks.items():
        dev = setup.data[name].splits["dev"]
        train, _ = sample(setup, name, "train", FROZEN_ROWS)
        columns = embed_columns(setup, dev, advance)
        x, x_dev = features(embed_columns(setup, train, advance)), features(columns)
        alone = by_cosine(setup, name, dev, columns, advance)
        found[name] = {
            "trivial": trivial(spec, setup.data[name].splits["train"].labels, dev.labels),
            "frozen": frozen(spec, x, train, x_dev, dev),
            **({} if alone is None else {"untouched": alone.metrics()[spec.scored_by]}),
        }
    return found


def floors_work(setup: Setup) -> int:
    """About how many tokens `floors` reads: for a bar."""
    work = 0.0
    for name, data in setup.data.items():
        rows = min(FROZEN_ROWS, len(data.splits["train"]))
        rows += THRESHOLD_ROWS if data.task.kind == "yes_no" and data.task.is_pair else 0
        # A pair is read apart, each text with two special tokens.
        extra = 2 * len(data.task.text)
        work += rows * (setup.texts[name, "train"].lengths().mean() + extra)
        work += (setup.texts[name, "dev"].lengths() + extra).sum()
    return int(work)


def trivial(task: Task, train: Tensor, dev: Tensor) -> float:
    """The score of answering the most frequent class of train always; a constant has correlation 0."""
    if task.kind == "rating":
        return 0.0
    constant = int(torch.bincount(train.long()).argmax())
    return METRICS[task.scored_by](dev.numpy(), np.full(len(dev), constant))


def features(columns: list[Tensor]) -> npt.NDArray[Any]:
    """One text: its embedding. A pair: `|u - v|`, `u * v` and the cosine."""
    if len(columns) == 1:
        return columns[0].numpy()
    left, right = columns
    product = left * right
    return torch.cat([(left - right).abs(), product, product.sum(1, keepdim=True)], dim=1).numpy()


def frozen(task: Task, x: npt.NDArray[Any], train: Split, x_dev: npt.NDArray[Any], dev: Split) -> float:
    """The score of logistic regression, or ridge regression for a rating, on the features."""
    from sklearn.linear_model import LogisticRegression, Ridge

    if task.kind == "rating":
        predicted = Ridge(alpha=1.0).fit(x, train.labels.numpy()).predict(x_dev)
    elif len(np.unique(train.labels.numpy())) < 2:
        return trivial(task, train.labels, dev.labels)
    else:
        # C = 10: the vectors have length 1, and the usual C = 1 holds the weights too small.
        predicted = LogisticRegression(C=10.0, max_iter=1000).fit(x, train.labels.numpy()).predict(x_dev)
    return METRICS[task.scored_by](dev.labels.numpy(), predicted)
