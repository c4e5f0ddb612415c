"""Which rows a finished run was scored on."""

from typing import Any

import numpy as np
import torch

from minbert.comparison.finished import _rows
from minbert.tasks import YesNo
from minbert.training.answers import Answered


def test_rows_that_the_seed_drew_are_others_under_another() -> None:
    dev = Answered(torch.zeros(4, 1), torch.tensor([0.0, 0.0, 1.0, 1.0]), np.zeros(4, dtype=bool))
    files: dict[str, Any] = {"train": [{"sha256": "a"}], "dev": []}
    named: dict[str, Any] = {"train": [{"sha256": "a"}], "dev": [{"sha256": "b"}]}
    common: dict[str, Any] = {"label": "y", "train": "x.csv"}
    share, file = YesNo(text=("a", "b"), dev=0.5, **common), YesNo(text=("a", "b"), dev="d.csv", **common)
    other = YesNo(text=("a", "c"), dev="d.csv", **common)

    def identity(task: YesNo, its: dict[str, Any], seed: str) -> str:
        return _rows(task, dev, its, seed).identity

    assert identity(share, files, "0") == identity(share, files, "0") != identity(share, files, "1")
    assert identity(file, named, "0") == identity(file, named, "1") != identity(other, named, "0")
    rows = len(dev.labels)
    limited = file.model_copy(update={"limit": rows})
    assert identity(limited, named, "0") != identity(limited, named, "1")
    whole = file.model_copy(update={"limit": rows + 1})
    assert identity(whole, named, "0") == identity(whole, named, "1") == identity(file, named, "2")
