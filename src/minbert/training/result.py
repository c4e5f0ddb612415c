"""The final table of a run."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from minbert.checkpoint import save_model, take_weights
from minbert.model import Line
from minbert.runs import Run, read_lines
from minbert.statistics import fit_platt, fit_temperature
from minbert.tasks import Split
from minbert.text.batches import Texts
from minbert.training.answers import Answered, Answers, save_answers
from minbert.training.evaluator import Scored, by_embedding, by_head, means, sample
from minbert.training.setup import Setup
from minbert.training.start import FILE as START

SPLITS = ("dev", "select")
"""What the best checkpoint is scored on; not every recipe has the second."""

TRAIN_ROWS = 5000
"""Rows of train that are scored at the end, to show train beside dev."""

Advance = Callable[[int], None]
Known = Mapping[str, Mapping[str, Scored]]


def final(
    setup: Setup, run: Run, heads: set[str], best: Mapping[str, Any], known: Known, advance: Advance
) -> dict[str, Any]:
    """Scores the best checkpoint on dev and on rows of train, with and without leaked rows; calibrates it if asked to.

    Args:
        setup: model and rows; the model gets the best checkpoint's weights.
        run: the folder.
        heads: tasks whose head has been trained.
        best: stage, epoch and score of the best checkpoint; empty: nothing was trained.
        known: by split and task, scores that this checkpoint is known to have, so that they are not worked out again.
        advance: hears the tokens that were read.

    Returns:
        What `result.json` says. It holds no times, so a resumed run has the same.
    """
    take_weights(setup.model, run.folder / "best")
    # Killed after it was fitted, it is fitted again, on scores without it.
    setup.model.calibration = {}
    floors = run.read("floors.json") if (run.folder / "floors.json").exists() else {}
    tasks: dict[str, Any] = {}
    answers: Answers = {}
    for name in setup.model.tasks:
        tasks[name], answers[name] = _task(setup, name, name in heads, known, advance)
        tasks[name]["floors"] = floors.get(name, {})
    save_answers(run, answers)
    if setup.model.calibration:
        run.checkpoint("best", lambda folder: save_model(folder, setup.model))
    dev = {name: found["dev"] for name, found in tasks.items() if found["dev"]}
    epochs = [line for line in read_lines(run.folder / "metrics.jsonl") if line["event"] == "epoch"]
    stopped = [
        {"stage": line["stage"], "epoch": line["epoch"]} | line["stopped"] for line in epochs if "stopped" in line
    ]
    return {
        "tasks": tasks,
        **means(setup.model.tasks, dev),
        "best": {key: best.get(key) for key in ("stage", "epoch", "select_score")},
        **({"start": run.read(START)} if setup.start else {}),
        **({"stopped": stopped} if stopped else {}),
        "selected_on": setup.recipe.select.on,
        "seed": setup.recipe.seed,
        "encoder": setup.source.name,
        "note": setup.source.note or (setup.start.note if setup.start else ""),
        "recipe_sha256": setup.recipe.digest,
    }


def _task(
    setup: Setup, name: str, trained: bool, known: Known, advance: Advance
) -> tuple[dict[str, Any], dict[str, Answered]]:
    """One task's part of the table, and its answers."""
    data, spec = setup.data[name], setup.model.tasks[name]

    def scored(rows: Split, texts: Texts) -> Scored | None:
        return by_head(setup, name, rows, texts, advance) if trained else by_embedding(setup, name, rows, advance)

    found = {
        split: known.get(split, {}).get(name) or scored(data.splits[split], setup.texts[name, split])
        for split in SPLITS
        if split in data.splits
    }
    if trained and setup.recipe.select.calibrate and spec.kind != "rating" and (held := found["select"]):
        setup.model.calibration[name] = _fit(held)
        found = {
            split: one and replace(one, scores=setup.model.calibrated(name, one.scores)) for split, one in found.items()
        }
    train = sample(setup, name, "train", TRAIN_ROWS)
    dev, on_train = found["dev"], scored(*train)
    alone = by_embedding(setup, name, data.splits["dev"], advance) if trained else dev
    leaked = {split: data.leaked(split) for split in found}
    on_dev = leaked["dev"]
    clean = dev.metrics(~on_dev) if dev and on_dev.any() and not on_dev.all() else {}
    row = {
        "metric": spec.scored_by,
        "scored_by": "head" if trained else "embedding" if alone else "nothing",
        "dev": dev.metrics() if dev else {},
        "dev_rows": len(on_dev),
        "dev_leaked_rows": int(on_dev.sum()),
        "dev_without_leaks": clean,
        "train": on_train.metrics() if on_train else {},
        "train_rows_scored": len(train[0]),
        "embedding": alone.metrics() if alone else {},
        "cut": setup.texts[name, "train"].cuts(setup.model.forms(name)),
    }
    if name in setup.model.calibration:
        row["calibration"] = dict(zip(("scale", "shift"), setup.model.calibration[name], strict=True))
    return row, {split: Answered(s.scores, s.labels, leaked[split]) for split, s in found.items() if s}


def _fit(held: Scored) -> Line:
    """Probabilities fitted on rows held out: a scale and a shift of yes/no; of classes a temperature."""
    scores, labels = held.scores.double().numpy(), held.labels.long().numpy()
    return fit_platt(scores, labels) if held.task.kind == "yes_no" else (1 / fit_temperature(scores, labels), 0.0)
