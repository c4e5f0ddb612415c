"""What of a recipe's stages does not fit its tasks, its adapters, or itself."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from minbert.encoder import Adapter
from minbert.losses import Loss
from minbert.optimizer import AdamWSpec
from minbert.recipe.stage import Stage
from minbert.regularizers import Regularizer
from minbert.tasks import Task

Tasks = dict[str, Task]
Misfit = tuple[str, str]
"""A key of the stage, and: expected, found, remedy."""


def stage_faults(stage: Stage, tasks: Tasks, adapters: Sequence[Adapter]) -> list[Misfit]:
    """What does not fit.

    Args:
        stage: as the recipe has it.
        tasks: of the recipe.
        adapters: of its encoder.
    """
    looks = (_names, _losses, _teachers, _regularizers, _layers)
    found = [fault for look in looks for fault in look(stage, tasks)]
    return [*found, *_together(stage, tasks, _shares(stage, adapters))]


def _names(stage: Stage, tasks: Tasks) -> Iterator[Misfit]:
    """Tasks that there are not."""
    for name in stage.tasks:
        if name not in tasks:
            yield "tasks", _unknown(name, tasks)
    tables = [(key, getattr(stage, key)) for key in ("samples", "batch", "head_lr", "weight", "losses", "teachers")]
    tables += [(f"mixture.{key}", value) for key, value in stage.mixture]
    for key, value in tables:
        if isinstance(value, dict):
            yield from ((f"{key}.{name}", _unknown(name, tasks)) for name in value if name not in tasks)


def _losses(stage: Stage, tasks: Tasks) -> Iterator[Misfit]:
    """Losses that are for other tasks."""
    for name, losses in stage.losses.items():
        for loss in losses if name in tasks else ():
            yield from ((f"losses.{name}", fault) for fault in _misfits(loss, tasks[name]))


def _misfits(loss: Loss, task: Task) -> list[str]:
    if task.kind not in loss.kinds:
        kinds = " or ".join(sorted(loss.kinds))
        return [f"{loss.kind!r} is for kind {kinds}, found a task of kind {task.kind!r}"]
    if loss.reads == "vectors" and not task.is_pair:
        return [f"{loss.kind!r} reads the two texts of a pair, found a task with one `text` column"]
    return []


def _teachers(stage: Stage, tasks: Tasks) -> Iterator[Misfit]:
    """Losses without the teacher that they ask for, and teachers that nobody asks."""
    for name in stage.trained(tasks):
        asking = [loss.kind for loss in stage.losses_of(name, tasks[name]) if loss.asks != "nothing"]
        if asking and name not in stage.teachers:
            said = f"expected a teacher for {asking[0]!r}, found none; name a run with teachers.{name}"
            yield f"losses.{name}", said
    for name in stage.teachers:
        if name in tasks and all(loss.asks == "nothing" for loss in stage.losses_of(name, tasks[name])):
            remedy = f"add 'distill' to losses.{name}"
            yield f"teachers.{name}", f"expected a loss that learns from it, found none; {remedy}"


def _regularizers(stage: Stage, tasks: Tasks) -> Iterator[Misfit]:
    """Regularizers of tasks that they do not fit, of an encoder that stands still, beside what they disturb."""
    if not stage.regularizers:
        return
    trained, kinds = stage.trained(tasks), ", ".join(repr(regularizer.kind) for regularizer in stage.regularizers)
    for regularizer in stage.regularizers:
        for name in regularizer.tasks:
            if fault := _unregularized(regularizer, name, tasks, trained):
                yield "regularizers", f"{regularizer.kind!r}: {fault}"
    if all(part == "heads" for part in stage.update):
        still = f"expected an encoder that moves for {kinds}, found update = ['heads'], with which it runs only once"
        yield "regularizers", f"{still}; add 'encoder' to update, or leave them out"
    if stage.weighting.again:
        beside = f"expected none beside weighting {stage.weighting.kind!r}, found {kinds}"
        yield "regularizers", f"{beside}: it compares the losses before and after a step, without penalties; leave one"


def _unregularized(regularizer: Regularizer, name: str, tasks: Tasks, trained: list[str]) -> str:
    if name not in trained:
        return _unknown(name, tasks) if name not in tasks else f"expected a task of this stage, found {name!r}"
    if tasks[name].kind not in regularizer.kinds:
        kinds = " or ".join(sorted(regularizer.kinds))
        return f"is for kind {kinds}, found a task of kind {tasks[name].kind!r}"
    return ""


def _layers_move(stage: Stage) -> bool:
    return any(part.startswith("encoder") for part in stage.update)


def _shares(stage: Stage, adapters: Sequence[Adapter]) -> bool:
    """Whether the stage trains weights that its tasks share."""
    return _layers_move(stage) or ("adapters" in stage.update and any(adapter.shared for adapter in adapters))


def _layers(stage: Stage, tasks: Tasks) -> Iterator[Misfit]:
    """Settings of layers that do not move, and an optimizer that steps are not made for."""
    if not _layers_move(stage):
        still = f"expected 'encoder' in update, found {list(stage.update)}: no layer moves; add it"
        settings = (("lr_decay", stage.lr_decay != 1), ("unfreeze", stage.unfreeze > 0))
        yield from ((key, still) for key, given in settings if given)
    if not isinstance(stage.optimizer, AdamWSpec):
        yield "optimizer", f"expected 'adamw', found {stage.optimizer.kind!r}: steps and snapshots are made for it"


def _together(stage: Stage, tasks: Tasks, shared: bool) -> Iterator[Misfit]:
    """Methods that compare tasks, where a step has one, or the tasks share nothing that is trained."""
    yield from (("weighting", f) for f in stage.weighting.faults(stage.epochs, shared))
    if not shared:
        alone = f"expected weights that tasks share in update, found {list(stage.update)}"
        for key, given, off in (
            ("merge", not stage.merge.plain, "'sum'"),
            ("conflicts_every", stage.conflicts_every > 0, "0"),
        ):
            if given:
                yield key, f"{alone}: there it changes nothing; add 'encoder' to update, or set it to {off}"
    single = "" if stage.batches_per_step > 1 else "batches_per_step = 1"
    reason = f"mixture {stage.mixture.kind!r}" if stage.mixture.phased else single
    if not reason or len(stage.trained(tasks)) < 2:
        return
    alone = f"found {reason}: with one task in a step"
    remedy = "set batches_per_step to the number of tasks, mixture to round_robin"
    for key, kind, together in (
        ("weighting", stage.weighting.kind, stage.weighting.apart),
        ("merge", stage.merge.kind, not stage.merge.plain and shared),
    ):
        if together:
            yield key, f"expected steps with several tasks for {kind!r}, {alone} it changes nothing; {remedy}"
    if stage.conflicts_every and shared:
        yield "conflicts_every", f"expected steps with several tasks, {alone} nothing conflicts; {remedy}"


def adapter_faults(adapters: Sequence[Adapter], stages: Mapping[str, Stage]) -> list[tuple[str, str]]:
    """What does not fit: (path, expected, found, remedy)."""
    found = [
        ("encoder.adapters", f"expected each kind once, found {kind!r} {count} times; leave one")
        for kind, count in Counter(adapter.kind for adapter in adapters).items()
        if count > 1
    ]
    training = [name for name, stage in stages.items() if "adapters" in stage.update]
    if adapters and stages and not training:
        found.append(
            ("encoder.adapters", "expected a stage that trains them, found none; add 'adapters' to an `update`")
        )
    for name in [] if adapters else training:
        # The default names all parts, as does whoever writes it out.
        if not any(part.startswith("encoder") for part in stages[name].update):
            said = "expected adapters to train, found encoder.adapters = []; name some there, or leave 'adapters' out"
            found.append((f"stages.{name}.update", said))
    return found


def _unknown(name: str, tasks: Tasks) -> str:
    return f"expected a task of this recipe ({', '.join(tasks)}), found {name!r}"
