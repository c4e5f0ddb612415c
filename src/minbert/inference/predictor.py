"""`load`: a trained run, to predict with every head and to embed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from minbert.checkpoint import load_model
from minbert.encoder import choose_precision, device_of
from minbert.errors import DataError, RunError
from minbert.inference.encoder import Array, Precision, SentenceEncoder, Text
from minbert.inference.forward import Advance, score_rows, silent
from minbert.model import MultiTaskModel
from minbert.storage import stands
from minbert.tasks import Classes, Task
from minbert.text.batches import texts_of
from minbert.values import nearest


@dataclass(frozen=True)
class Prediction:
    """What a task's head says of texts, in their order.

    Attributes:
        labels: the class of each, or yes/no; empty for a rating.
        probabilities: (texts, classes); for yes/no the columns are no, yes; (texts, 0) for a rating.
        scores: the rating in the file's own range; for classes and yes/no the probability of the label.
        classes: what the columns of `probabilities` stand for.
    """

    labels: list[str]
    probabilities: Array
    scores: Array
    classes: tuple[str, ...]

    def rows(self, every: bool = False) -> list[dict[str, Any]]:
        """One dictionary per text, for a file; with the probabilities of all classes, if they are asked for."""
        if not self.classes:
            return [{"score": round(float(score), 4)} for score in self.scores]
        rows: list[dict[str, Any]] = [
            {"label": label, "probability": round(float(score), 4)}
            for label, score in zip(self.labels, self.scores, strict=True)
        ]
        names = [f"probability_{name}" for name in self.classes]
        for row, values in zip(rows, self.probabilities.tolist() if every else [], strict=every):
            row |= {name: round(value, 4) for name, value in zip(names, values, strict=True)}
        return rows


class Predictor:
    """A trained model, ready to use.

    Args:
        model: the model.
        precision: of the matrix products.
    """

    def __init__(self, model: MultiTaskModel, precision: Precision = "auto") -> None:
        self.model = model.eval()
        self.model.encoder.precision = choose_precision(precision, next(model.parameters()).device)

    @property
    def tasks(self) -> dict[str, Task]:
        """What the model was trained for."""
        return self.model.tasks

    @property
    def encoder(self) -> SentenceEncoder:
        """The encoder alone, with its tokenizer."""
        return SentenceEncoder(self.model.encoder, self.model.tokenizer, self.model.embedding_pooling)

    def task(self, name: str) -> Task:
        """A task by its name.

        Raises:
            RunError: there is none of that name.
        """
        if name not in self.tasks:
            raise RunError(f"task {name!r}: the run has no such task; {nearest(name, list(self.tasks))}")
        return self.tasks[name]

    def predict(self, task: str, texts: Sequence[Text], advance: Advance = silent) -> Prediction:
        """What the head of a task says.

        Args:
            task: its name in the recipe.
            texts: strings, or tuples of two for a task on pairs.
            advance: hears the number of tokens done.

        Raises:
            RunError: no such task.
            DataError: texts where pairs are wanted, or the reverse; names the places.
        """
        spec = self.task(task)
        if isinstance(texts, str):
            raise DataError(f"expected a list of texts, found one text, {texts!r:.60}; put it in a list")
        rows = [tuple(text) if isinstance(text, list | tuple) else (text,) for text in texts]
        strings = [all(isinstance(text, str) for text in row) for row in rows]
        wrong = [i for i, row in enumerate(rows) if len(row) != len(spec.text) or not strings[i]]
        if wrong:
            wanted = "a tuple of two strings" if spec.is_pair else "one string"
            raise DataError([f"texts[{i}]: expected {wanted} for task {task!r}, found {texts[i]!r:.60}" for i in wrong])
        if not rows:
            return read_scores(spec, torch.empty(0, spec.outputs))
        columns = list(zip(*rows, strict=True))
        return read_scores(spec, score_rows(self.model, task, texts_of(columns, self.model.tokenizer), advance))

    def embed(
        self, texts: Sequence[str], normalize: bool = True, precision: Precision = "auto", prompt: str | None = None
    ) -> Array:
        """One vector per text, pooled as for heads that name no pooling, but never by the pooler; (texts, width)."""
        return self.encoder.embed(texts, self.model.embedding_pooling, normalize, precision, prompt=prompt)


def read_scores(task: Task, scores: Tensor) -> Prediction:
    """A head's scores as labels, probabilities and ratings."""
    answers: npt.NDArray[Any] = task.answers(scores)
    if task.kind == "rating":
        empty = np.empty((len(scores), 0), dtype=np.float32)
        return Prediction([], empty, answers.astype(np.float32), ())
    if isinstance(task, Classes):
        classes, probabilities = task.labels, F.softmax(scores.double(), dim=1)
    else:
        yes = torch.sigmoid(scores[:, 0].double())
        classes, probabilities = ("no", "yes"), torch.stack([1 - yes, yes], dim=1)
    table = probabilities.float().numpy()
    return Prediction([classes[i] for i in answers], table, table[np.arange(len(answers)), answers], classes)


def load(run: str | Path, device: str = "auto", precision: Precision = "auto") -> Predictor:
    """Opens the best checkpoint of a run, or a checkpoint folder itself.

    Args:
        run: the run folder, or `.../best`, `.../last`.
        device: `auto`, `cpu`, `cuda`, `mps`, ...
        precision: of the matrix products.

    Raises:
        RunError: no such folder, no checkpoint in it yet, or a damaged one.
    """
    return Predictor(load_model(checkpoint_of(Path(run))).to(device_of(device)), precision)


def checkpoint_of(folder: Path) -> Path:
    """The best checkpoint of a run, or the folder itself if it is a checkpoint.

    Raises:
        RunError: no such folder, or no checkpoint in it yet.
    """
    best = folder / "best"
    if not folder.is_dir():
        raise RunError(f"{folder}: expected a run, found no such folder; `minbert train` makes one")
    if stands(best):
        return best
    if (folder / "model.json").exists():
        return folder
    if (folder / "recipe.toml").exists():
        remedy = "finish the run with `minbert train ... --resume`"
        raise RunError(f"{folder}: expected a checkpoint, found none yet; {remedy}")
    inside = sorted(found.parent for depth in ("*", "*/*") for found in folder.glob(f"{depth}/recipe.toml"))
    remedy = f"did you mean {inside[0]}?" if inside else "name the folder of a run"
    raise RunError(f"{folder}: expected a run or a checkpoint, found neither; {remedy}")
