"""What a finished run answered, row by row: with it runs are compared and errors looked at without the model."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from minbert.errors import RunError
from minbert.runs import Run
from minbert.tasks import AnyTask, Task

FILE = "answers.safetensors"


@dataclass(frozen=True)
class Answered:
    """The best checkpoint on one split of one task; rows in the order of the split.

    Attributes:
        scores: (rows, outputs), as the head gives them, or the embeddings where no head was trained.
        labels: (rows,), in the labels' own unit.
        leaked: rows whose answer train gives away, (rows,).
    """

    scores: Tensor
    labels: Tensor
    leaked: npt.NDArray[np.bool_]


Answers = dict[str, dict[str, Answered]]
"""By task, then by split (`dev`, and `select` where the recipe holds one out)."""


def save_answers(run: Run, answers: Answers) -> None:
    """Writes `answers.safetensors` into the run: `task.split.scores`, `.labels`, `.leaked`."""
    tensors = {}
    for task, splits in answers.items():
        for split, found in splits.items():
            tensors[f"{task}.{split}.scores"] = found.scores.contiguous()
            tensors[f"{task}.{split}.labels"] = found.labels.contiguous()
            tensors[f"{task}.{split}.leaked"] = torch.from_numpy(found.leaked)
    run.write_bytes(FILE, save(tensors))


def read_answers(folder: Path) -> Answers:
    """The answers of a finished run.

    Raises:
        RunError: the file is missing or damaged.
    """
    path = folder / FILE
    try:
        tensors = load_file(path)
    except FileNotFoundError:
        raise RunError(
            f"{path}: expected the answers of a finished run, found none; finish the run, or train it "
            "again if it was made before runs kept them"
        ) from None
    except SafetensorError as fault:
        raise RunError(f"{path}: expected tensors, found what cannot be read ({fault}); the file is damaged") from None
    answers: Answers = {}
    for name in (name for name in tensors if name.endswith(".scores")):
        task, split, _ = name.split(".")
        parts = [tensors[f"{task}.{split}.{part}"] for part in ("scores", "labels", "leaked")]
        answers.setdefault(task, {})[split] = Answered(parts[0], parts[1], parts[2].numpy())
    return answers


def read_tasks(folder: Path) -> dict[str, Task]:
    """What the tasks of a finished run were, with their classes filled in; their heads are left out.

    Raises:
        RunError: the checkpoint's list of them is missing or damaged.
    """
    found = Run(folder).read("best/model.json")
    try:
        # A head of one's own is no kind that this file could be read back as, and scores need none.
        bare = {name: {key: task[key] for key in task if key != "head"} for name, task in found["tasks"].items()}
        return TypeAdapter(dict[str, AnyTask]).validate_python(bare)
    except (ValidationError, KeyError, AttributeError, TypeError) as fault:
        path = folder / "best" / "model.json"
        raise RunError(f"{path}: expected the tasks of a run, found none that can be read ({fault})") from None
