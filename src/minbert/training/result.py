"""The final table of a run."""

from collections.abc import Callable
from typing import Any

from minbert.model import load_model
from minbert.runs import Run, read_lines
from minbert.training.evaluator import Scored, by_embedding, by_head, means, sample
from minbert.training.setup import Setup

TRAIN_ROWS = 5000
"""Rows of train that are scored at the end, to show train beside dev."""

Advance = Callable[[int], None]


def final(setup: Setup, run: Run, heads: set[str], advance: Advance) -> dict[str, Any]:
    """Scores the best checkpoint on dev and on rows of train, with and without leaked rows.

    Args:
        setup: model and rows; the model gets the best checkpoint's weights.
        run: the folder.
        heads: tasks whose head has been trained.
        advance: hears the tokens that were read.

    Returns:
        What `result.json` says. It holds no times, so a resumed run has the same.
    """
    best = load_model(run.folder / "best")
    setup.model.load_state_dict(best.state_dict())
    floors = run.read("floors.json") if (run.folder / "floors.json").exists() else {}
    tasks: dict[str, Any] = {}
    for name in setup.model.tasks:
        tasks[name] = _task(setup, name, name in heads, advance)
        tasks[name]["floors"] = floors.get(name, {})
    dev = {name: found["dev"] for name, found in tasks.items() if found["dev"]}
    epochs = [line for line in read_lines(run.folder / "metrics.jsonl") if line["event"] == "epoch"]
    best_line = max(epochs, key=lambda line: float(line["select_score"]), default={})
    return {
        "tasks": tasks,
        **means(setup.model.tasks, dev),
        "best": {key: best_line.get(key) for key in ("stage", "epoch", "select_score")},
        "selected_on": setup.recipe.select.on,
        "seed": setup.recipe.seed,
        "encoder": setup.source.name,
        "note": setup.source.note,
        "recipe_sha256": setup.recipe.digest,
    }


def _task(setup: Setup, name: str, trained: bool, advance: Advance) -> dict[str, Any]:
    """One task's part of the table."""
    data, spec = setup.data[name], setup.model.tasks[name]
    dev, texts = data.splits["dev"], setup.texts[name, "dev"]
    train, train_texts = sample(setup, name, "train", TRAIN_ROWS)
    alone = by_embedding(setup, name, dev, advance)
    if trained:
        scored: Scored | None = by_head(setup, name, dev, texts, advance)
        on_train: Scored | None = by_head(setup, name, train, train_texts, advance)
    else:
        scored, on_train = alone, by_embedding(setup, name, train, advance)
    leaked = data.leaked("dev")
    clean = scored.metrics(~leaked) if scored and leaked.any() and not leaked.all() else {}
    return {
        "metric": spec.scored_by,
        "scored_by": "head" if trained else "embedding" if alone else "nothing",
        "dev": scored.metrics() if scored else {},
        "dev_rows": len(dev),
        "dev_leaked_rows": int(leaked.sum()),
        "dev_without_leaks": clean,
        "train": on_train.metrics() if on_train else {},
        "train_rows_scored": len(train),
        "embedding": alone.metrics() if alone else {},
        "cut": setup.texts[name, "train"].cuts(setup.model.forms(name)),
    }
