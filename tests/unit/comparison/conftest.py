"""Finished runs that were never trained."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from minbert.runs import Run
from minbert.tasks import Classes, Rating, Task, YesNo
from minbert.training.answers import Answered, Answers, save_answers
from minbert.training.evaluator import means

ROWS = 80
BEST = {"stage": "train", "epoch": 2, "select_score": 0.5}
FILES: dict[str, Any] = {"label": "y", "train": "train.csv", "dev": "dev.csv"}
TASKS: dict[str, Task] = {
    "topic": Classes(text=("a",), labels=("x", "y", "z"), **FILES),
    "same": YesNo(text=("a", "b"), **FILES),
    "near": Rating(text=("a", "b"), range=(0.0, 5.0), **FILES),
}


def truth(task: Task, rows: int = ROWS, seed: int = 0) -> torch.Tensor:
    """The labels of a task."""
    rng = np.random.default_rng([seed, rows])
    if task.kind == "rating":
        return torch.from_numpy(5 * rng.random(rows)).float()
    return torch.from_numpy(rng.integers(0, max(2, task.outputs), rows))


def scores(task: Task, labels: torch.Tensor, skill: float, rng: np.random.Generator) -> torch.Tensor:
    """A head's scores: the labels at some strength in noise."""
    noise = torch.from_numpy(rng.normal(size=(len(labels), task.outputs))).float()
    if task.kind == "rating":
        return labels[:, None] / 5 + 0.2 * noise / skill
    if task.kind == "yes_no":
        return skill * (2.0 * labels[:, None] - 1) + noise
    return skill * torch.nn.functional.one_hot(labels, task.outputs) + noise


def write_run(
    folder: Path,
    seed: int = 0,
    skill: float = 1.0,
    settings: str = "lr = 1e-4",
    tasks: dict[str, Task] | None = None,
    rows_seed: int = 0,
    **result: Any,
) -> Path:
    """A finished run: its answers are right the more often the more skill it has; the settings tell arms apart."""
    tasks = TASKS if tasks is None else tasks
    rng = np.random.default_rng([seed, int(hashlib.sha256(settings.encode()).hexdigest()[:8], 16)])
    answers: Answers = {}
    table = {}
    for name, task in tasks.items():
        labels = truth(task, seed=rows_seed)
        leaked = np.arange(len(labels)) < 3
        answers[name] = {"dev": Answered(scores(task, labels, skill, rng), labels, leaked)}
        dev = task.scores(labels, answers[name]["dev"].scores)
        floors = {"trivial": 0.1, "frozen": 0.2, **({"untouched": 0.3} if task.is_pair else {})}
        table[name] = {"metric": task.scored_by, "dev": dev, "dev_rows": ROWS, "dev_leaked_rows": 3, "floors": floors}
    folder.mkdir(parents=True)
    (folder / "recipe.toml").write_text(f"seed = {seed}\n{settings}\n")
    (folder / "best").mkdir()
    write(
        folder / "best" / "model.json",
        {"tasks": {n: t.model_dump(mode="json", exclude_none=True) for n, t in tasks.items()}},
    )
    files = {name: {"train": [{"path": "t", "sha256": "t"}], "dev": [{"path": "d", "sha256": "d"}]} for name in tasks}
    environment = {"processor": "a processor", "threads": 1, "device": "cpu", "precision": "float32", "torch": "2"}
    write(
        folder / "run.json",
        {"encoder": {"sha256": "e"}, "methods": {}, "environment": environment, "files": files},
    )
    save_answers(Run(folder), answers)
    own = means(tasks, {name: found["dev"] for name, found in table.items()})
    write(
        folder / "result.json",
        {"tasks": table, **own, "seed": seed, "selected_on": "dev", "note": "seen before", "best": BEST, **result},
    )
    return folder


def write(path: Path, content: Any) -> None:
    """Not by way of the run, which waits for the disk each time."""
    path.write_text(json.dumps(content))


def write_experiment(folder: Path, skills: dict[str, float], seeds: int = 3) -> Path:
    """An experiment with an arm for each skill."""
    for arm, skill in skills.items():
        for seed in range(seeds):
            write_run(folder / arm / f"seed-{seed}", seed, skill, f'name = "{arm}"')
    write(
        folder / "experiment.json",
        {"name": "surgery", "arms": {arm: {} for arm in skills}, "seeds": list(range(seeds))},
    )
    return folder
