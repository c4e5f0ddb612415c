"""`--dry-run`: what a run would do and how long it would take, from five real steps."""

import time
from typing import Any

import torch

from minbert.encoder import choice
from minbert.optimizer import AdamWSpec
from minbert.training.forward import Live
from minbert.training.plan import StagePlan, rows_of
from minbert.training.progress import Listener
from minbert.training.setup import Setup
from minbert.training.step import Stepper
from minbert.training.teaching import teach
from minbert.training.trainable import check_trainable, encoder_start, moves_vectors, trainable
from minbert.training.work import whole_work

TIMED_STEPS = 5
FEW_STEPS = 200
"""Under so many steps a warning is given: the heads hardly leave their random start."""


def dry_run(setup: Setup) -> dict[str, Any]:
    """Looks at the data, times five steps, and writes nothing.

    Args:
        setup: as for training; its weights are moved by the timed steps, so it is of no further use.

    Returns:
        `tasks`: rows, class shares or mean, cut rows; `stages`: steps; `seconds`: the estimate; `choice`: what it
        runs on; `warnings`.
    """
    plans = {n: StagePlan(n, stage, setup.data, setup.recipe.seed) for n, stage in setup.recipe.stages.items()}
    check_trainable(setup, plans)
    warnings = list(setup.remarks)
    for name, plan in plans.items():
        if plan.steps < FEW_STEPS:
            warnings.append(
                f"stage {name!r} has only {plan.steps} steps; more epochs, or smaller batches, may do better"
            )
        if plan.stage.mixture.adaptive:
            warnings.append(f"stage {name!r}: rows an epoch are those of the first; later ones depend on the scores")
    rate = seconds_per_work(setup, plans)
    return {
        "tasks": {name: _task(setup, name, plans) for name in setup.data},
        "stages": {
            n: {"steps": p.steps, "rows": {t: round(r) for t, r in p.rows_per_epoch.items()}} for n, p in plans.items()
        },
        "seconds": rate * whole_work(setup, plans),
        "choice": choice(setup.device, setup.precision, setup.model.encoder.config),
        "warnings": warnings,
    }


def _task(setup: Setup, name: str, plans: dict[str, StagePlan]) -> dict[str, Any]:
    """What there is to know of a task's rows."""
    data = setup.data[name]
    train = data.splits["train"]
    counted = {} if data.task.kind == "rating" else dict(zip(*_counts(data.task, train.labels), strict=True))
    pools = {stage: len(plan.tasks[name].pool) for stage, plan in plans.items() if name in plan.tasks}
    return {
        "kind": data.task.kind,
        "rows": {split: len(rows) for split, rows in data.splits.items()},
        "classes": counted,
        "mean": float(train.labels.float().mean()) if data.task.kind == "rating" else None,
        "usable": {stage: size for stage, size in pools.items() if size < len(train)},
        "cut": setup.texts[name, "train"].cuts(setup.model.forms(name)),
        "leaked": int(data.leaked("dev").sum()),
    }


def _counts(task: Any, labels: torch.Tensor) -> tuple[list[str], list[int]]:
    names = list(getattr(task, "labels", ())) or ["no", "yes"]
    return names, torch.bincount(labels.long(), minlength=len(names)).tolist()


def seconds_per_work(setup: Setup, plans: dict[str, StagePlan]) -> float:
    """Seconds per token pass, from real steps of the first stage in which the encoder runs."""
    for name, plan in plans.items():
        stage = plan.stage
        shared, own = trainable(setup, stage, list(plan.tasks))
        if not moves_vectors(setup.model) or not isinstance(stage.optimizer, AdamWSpec):
            continue
        of_tasks = [parameter for parameters in own.values() for parameter in parameters]
        optimizer = stage.optimizer.build([(stage.lr, shared), (stage.lr, of_tasks)], encoder_start(setup))
        losses = {task: part.losses for task, part in plan.tasks.items()}
        work = [0]

        def count(tokens: int, work: list[int] = work) -> None:
            work[0] += tokens

        live = Live(setup, losses, count, stage.regularizers, [*shared, *of_tasks])
        steps = plan.epoch(0)[: TIMED_STEPS + 1]
        teaching = teach(setup, name, rows_of(steps), {}, Listener(), lambda work: None, None)
        given = (stage, name, setup.recipe.seed, losses, (shared, own), optimizer, live)
        stepper = Stepper(*given, teaching=teaching)
        setup.model.train()
        stepper(0, plan.steps, steps[0])  # the first is slower: memory and kernels are set up
        work[0], begin = 0, time.perf_counter()
        for number, slots in enumerate(steps[1:] or steps, 1):
            stepper(number, plan.steps, slots)
        return (time.perf_counter() - begin) / max(work[0], 1)
    return 0.0
