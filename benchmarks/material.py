"""Texts, models and peers that the parts share."""

import csv
import os
import sys
from collections.abc import Callable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from minbert.encoder import ByTask, choose_precision, load_folder, resolve
from minbert.encoder.folder import Loaded
from minbert.heads import Difference, Head, Linear
from minbert.model import MultiTaskModel
from minbert.tasks import Classes, Rating, Task, YesNo
from minbert.training.forward import Forward, Found, Work

Row = tuple[str, ...]


class Passes(Forward):
    """Outputs and targets from a function.

    Args:
        outputs: of slots with their seeds.
        splits: whether it can keep the tasks' gradients apart.
    """

    splits = False

    def __init__(self, outputs: Callable[[Work, ByTask | None], Iterator[list[Found]]], splits: bool = False) -> None:
        self.outputs, self.splits = outputs, splits

    def __call__(self, work: Work, by_task: ByTask | None = None) -> Iterator[list[Found]]:
        return self.outputs(work, by_task)


@cache
def rows_of(task: str, count: int) -> list[Row]:
    """So many rows of texts of `sst`, `quora` or `sts`: from MINBERT_DATA, else from the demo's small set, repeated."""
    names = ("sentence",) if task == "sst" else ("sentence1", "sentence2")
    home = os.environ.get("MINBERT_DATA")
    style: dict[str, Any]
    if home:
        path, style = Path(home) / task / "train.tsv", {"delimiter": "\t", "quoting": csv.QUOTE_NONE}
    else:
        files = {"sst": "sentiment", "quora": "questions", "sts": "sentences"}
        names = ("question1", "question2") if task == "quora" else names
        spec = find_spec("minbert")
        assert spec is not None and spec.origin is not None
        path, style = Path(spec.origin).parent / "demo" / f"{files[task]}-train.csv", {}
    with path.open(encoding="utf-8", newline="") as file:
        found = [tuple(row[name] for name in names) for row in csv.DictReader(file, **style)]
    found = [row for row in found if all(row)]
    order = np.random.default_rng(0).permutation(max(count, len(found)))[:count] % len(found)
    return [found[i] for i in order]


def source() -> str:
    """Which texts `rows_of` gives."""
    return (
        "the real data sets"
        if os.environ.get("MINBERT_DATA")
        else "the demo's few texts; set MINBERT_DATA for real ones"
    )


def folder() -> Path:
    """The folder of the MiniLM weights, for peers."""
    return Path(resolve("minilm").weights).parent


def loaded(dropout: float | None = None, max_tokens: int = 256) -> Loaded:
    """The same weights for minbert."""
    return load_folder(resolve("minilm"), max_tokens, dropout)


def model(
    tasks: dict[str, Task], pooling: Any = "mean", precision: torch.dtype | None = None, max_tokens: int = 256
) -> MultiTaskModel:
    """A model with a head per task on the MiniLM weights; in the precision that training would choose, or another."""
    parts = loaded(max_tokens=max_tokens)
    made = MultiTaskModel(parts.encoder, parts.tokenizer, tasks, pooling)
    made.encoder.precision = precision or choose_precision("auto", torch.device("cpu"))
    return made


def task(kind: str, apart: bool = False) -> Task:
    """A task of the kind of `sst`, `quora` or `sts`."""
    common: dict[str, Any] = {"label": "label", "train": "train.csv"}
    head: Head = Difference() if apart else Linear()
    if kind == "sst":
        return Classes(text=("sentence",), labels=tuple("01234"), **common)
    pair = ("sentence1", "sentence2")
    if kind == "quora":
        return YesNo(text=pair, head=head, **common)
    return Rating(text=pair, range=(0.0, 5.0), head=head, **common)


def need(*modules: str) -> None:
    """Ends with a clear line where a peer is not installed."""
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        sys.exit(f"this part compares with {', '.join(missing)}: install them with `make setup-bench`")
