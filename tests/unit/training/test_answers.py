from pathlib import Path

import numpy as np
import pytest
import torch

from minbert.errors import RunError
from minbert.runs import Run
from minbert.training.answers import FILE, Answered, read_answers, save_answers


def answered() -> Answered:
    return Answered(torch.tensor([[0.5, -1.0], [2.0, 3.0]]), torch.tensor([1, 0]), np.array([True, False]))


def test_answers_come_back(tmp_path: Path) -> None:
    save_answers(Run(tmp_path), {"topic": {"dev": answered()}, "same-text": {"dev": answered(), "select": answered()}})
    found = read_answers(tmp_path)
    assert {task: list(splits) for task, splits in found.items()} == {"topic": ["dev"], "same-text": ["dev", "select"]}
    for part in (found["topic"]["dev"], found["same-text"]["select"]):
        assert part.scores.equal(answered().scores) and part.labels.equal(answered().labels)
        assert (part.leaked == answered().leaked).all()


def test_missing_and_damaged_answers_are_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="found none"):
        read_answers(tmp_path)
    save_answers(Run(tmp_path), {"topic": {"dev": answered()}})
    file = tmp_path / FILE
    for size in range(0, file.stat().st_size, 7):
        (tmp_path / "cut").mkdir(exist_ok=True)
        (tmp_path / "cut" / FILE).write_bytes(file.read_bytes()[:size])
        with pytest.raises(RunError, match="damaged"):
            read_answers(tmp_path / "cut")
