"""How much work a run is, in token passes: a training pass counts three, a forward pass one."""

from collections.abc import Sequence

import torch

from minbert.losses import Loss
from minbert.regularizers import Regularizer
from minbert.training.forward import TRAIN
from minbert.training.plan import StagePlan
from minbert.training.setup import Setup
from minbert.training.snapshot import Place
from minbert.training.teaching import cost_of

PHASE_ROWS = 1000
"""Rows of dev that are scored after each task's phase: enough to see forgetting, and quick."""

Plans = dict[str, StagePlan]


def whole_work(setup: Setup, plans: Plans) -> int:
    """The work of all stages."""
    return sum(stage_work(setup, plan) + sum(teaching_work(setup, plan).values()) for plan in plans.values())


def done_work(setup: Setup, plans: Plans, place: Place) -> int:
    """What of it lies behind a place."""
    in_order = list(plans.values())
    before = whole_work(setup, {plan.name: plan for plan in in_order[: place.stage]})
    if place.stage == len(in_order):
        return before
    plan = in_order[place.stage]
    share = (place.epoch + place.step / plan.steps_per_epoch) / plan.stage.epochs
    return before + int(stage_work(setup, plan) * share)


def work_left(setup: Setup, plan: StagePlan, epochs: int) -> int:
    """What a stage leaves undone that ends after so many epochs."""
    return int(stage_work(setup, plan) * (1 - epochs / plan.stage.epochs))


def stage_work(setup: Setup, plan: StagePlan) -> int:
    """The rows a stage trains on, and those it is scored on after each epoch and each phase."""
    per_epoch = 0.0
    adapted = setup.recipe.encoder.adapters and "adapters" in plan.stage.update
    if adapted or any(part.startswith("encoder") for part in plan.stage.update):
        for task, rows in plan.rows_per_epoch.items():
            kind = setup.model.tasks[task].kind
            more = tuple(r for r in plan.stage.regularizers if r.concerns(task, kind))
            passes = 1 + sum(regularizer.passes(setup.precision == torch.float32) for regularizer in more)
            readers: tuple[Loss | Regularizer, ...] = (*plan.tasks[task].losses, *more)
            cost = TRAIN * passes + plan.stage.weighting.again
            per_epoch += cost * rows * tokens_per_row(setup, task, "train", readers)
    for split in ("dev", "select"):
        for task in setup.data:
            if (task, split) in setup.texts:
                per_epoch += len(setup.texts[task, split]) * tokens_per_row(setup, task, split)
    if plan.stage.mixture.phased and len(plan.tasks) > 1:
        for task in setup.data:
            rows = min(PHASE_ROWS, len(setup.texts[task, "dev"]))
            per_epoch += len(plan.tasks) * rows * tokens_per_row(setup, task, "dev")
    return int(per_epoch * plan.stage.epochs)


def teaching_work(setup: Setup, plan: StagePlan) -> dict[str, int]:
    """Asking the teachers of a stage, by task, before its first step."""
    found = {}
    for task, part in plan.tasks.items():
        teacher = setup.teachers.get((plan.name, task))
        if teacher:
            rows = min(len(part.pool), part.samples * plan.stage.epochs)
            tokens = tokens_per_row(setup, task, "train", part.losses)
            found[task] = int(rows * tokens * cost_of(setup, teacher))
    return found


def tokens_per_row(setup: Setup, task: str, split: str, readers: Sequence[Loss | Regularizer] = ()) -> float:
    """The mean number of tokens of a row as it is packed."""
    texts, forms = setup.texts[task, split], setup.model.forms(task, readers)
    plain, columns = float(texts.lengths().mean()), len(texts.tables)
    template = texts.tokenizer.pair if columns == 2 else texts.tokenizer.single
    apart = plain + columns * texts.tokenizer.single.extra
    return (plain + template.extra) * forms.whole + apart * forms.apart
