"""How much work a run is, in token passes: a training pass counts three, a forward pass one."""

from minbert.losses import Loss
from minbert.training.forward import TRAIN
from minbert.training.plan import StagePlan
from minbert.training.setup import Setup
from minbert.training.snapshot import Place

PHASE_ROWS = 1000
"""Rows of dev that are scored after each task's phase: enough to see forgetting, and quick."""

Plans = dict[str, StagePlan]


def whole_work(setup: Setup, plans: Plans) -> int:
    """The work of all stages."""
    return sum(stage_work(setup, plan) for plan in plans.values())


def done_work(setup: Setup, plans: Plans, place: Place) -> int:
    """What of it lies behind a place."""
    in_order = list(plans.values())
    before = sum(stage_work(setup, plan) for plan in in_order[: place.stage])
    if place.stage == len(in_order):
        return before
    plan = in_order[place.stage]
    share = (place.epoch + place.step / plan.steps_per_epoch) / plan.stage.epochs
    return before + int(stage_work(setup, plan) * share)


def stage_work(setup: Setup, plan: StagePlan) -> int:
    """The rows a stage trains on, and those it is scored on after each epoch and each phase."""
    per_epoch = 0.0
    frozen = all(part == "heads" for part in plan.stage.update)
    for task, part in plan.tasks.items():
        if not frozen:
            passes = TRAIN + plan.stage.weighting.again
            per_epoch += passes * part.samples * tokens_per_row(setup, task, "train", part.losses)
    for split in ("dev", "select"):
        for task in setup.data:
            if (task, split) in setup.texts:
                per_epoch += len(setup.texts[task, split]) * tokens_per_row(setup, task, split)
    if plan.stage.mixture.phased and len(plan.tasks) > 1:
        for task in setup.data:
            rows = min(PHASE_ROWS, len(setup.texts[task, "dev"]))
            per_epoch += len(plan.tasks) * rows * tokens_per_row(setup, task, "dev")
    return int(per_epoch * plan.stage.epochs)


def tokens_per_row(setup: Setup, task: str, split: str, losses: tuple[Loss, ...] = ()) -> float:
    """The mean number of tokens of a row as it is packed."""
    texts, forms = setup.texts[task, split], setup.model.forms(task, losses)
    plain, columns = float(texts.lengths().mean()), len(texts.tables)
    template = texts.tokenizer.pair if columns == 2 else texts.tokenizer.single
    apart = plain + columns * texts.tokenizer.single.extra
    return (plain + template.extra) * forms.whole + apart * forms.apart
