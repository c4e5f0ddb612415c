"""A stage: how the tasks are learned. Tasks say what, stages say how."""

import re
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field

from minbert.gradients import AnyMerge, AnyWeighting, Equal, Sum
from minbert.losses import AnyLoss, Loss
from minbert.mixtures import AnyMixture, Proportional
from minbert.optimizer import AdamWSpec, AnyAverage, AnyOptimizer, AnySchedule, Linear
from minbert.regularizers import AnyRegularizer, Regularizer
from minbert.tasks import Task
from minbert.values import Value, listed

T = TypeVar("T")
Count = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0)]
PART = re.compile(r"heads|adapters|encoder(\[(\d+):\])?")


def _part(name: str) -> str:
    if not PART.fullmatch(name):
        known = "'encoder', 'encoder[4:]' (layers from the fourth), 'adapters' or 'heads'"
        raise ValueError(f"expected {known}, found {name!r}")
    return name


Names = Annotated[tuple[str, ...], BeforeValidator(listed)]
Losses = Annotated[tuple[AnyLoss, ...], BeforeValidator(listed), Field(min_length=1)]
Regularizers = Annotated[tuple[AnyRegularizer, ...], BeforeValidator(listed)]
Update = Annotated[tuple[Annotated[str, AfterValidator(_part)], ...], BeforeValidator(listed), Field(min_length=1)]


class Stage(Value):
    """One pass of training. Where a table by task may stand, tasks that it does not name keep the default.

    Attributes:
        tasks: which tasks are trained; empty: all. Every task is evaluated after each epoch, trained or not.
        epochs: 1 or more.
        samples: rows of each task in an epoch; 0: all it has. More than it has: another shuffled pass.
        draw: `stream`: epochs go on through one shuffled sequence; `once`: the same `samples` rows each epoch.
        batch: rows a batch.
        lr: learning rate of the encoder.
        head_lr: of the heads; 0: as `lr`.
        adapter_lr: of the adapters; 0: as `lr`.
        lr_decay: layer k of n has the rate `lr * lr_decay ** (n - k)`, the embeddings k = 0; above 0, at most 1.
        unfreeze: over this share of the steps the layers join the top one, from top to bottom; 0: all move at once.
        weight: factor on a task's loss, before the merge.
        losses: one or several by task; they are summed. A task not named has the usual loss of its kind.
        mixture: how often each task comes, and in which order; an epoch's number of batches is the same with all.
        teachers: by task, what its losses `distill` and `distill_vectors` learn from: a run or a checkpoint, relative
            to the recipe; for `distill_vectors` also an encoder.
        batches_per_step: batches whose gradients make one step.
        weighting: a factor on each task's loss that is learned, on top of `weight`.
        merge: how the gradients of the tasks of a step become one.
        regularizers: penalties beside the losses, against learning train by heart; one or several, each on all tasks or
            on those that it names.
        average: of the weights over the steps, which is scored and kept in place of the weights; None: there is none.
            The next stage goes on from the plain weights.
        update: what is trained: `encoder`, `encoder[4:]`, `adapters`, `heads`.
        schedule: the factor on the rates over the steps.
        optimizer: how gradients move weights.
        conflicts_every: every so many steps the tasks' gradients are compared and written down; 0: never.
    """

    tasks: Names = ()
    epochs: Count = 3
    samples: Annotated[int, Field(ge=0)] | dict[str, Annotated[int, Field(ge=0)]] = 0
    draw: Literal["stream", "once"] = "stream"
    batch: Count | dict[str, Count] = 32
    lr: Rate = 5e-5
    head_lr: Annotated[float, Field(ge=0)] | dict[str, Rate] = 0.0
    adapter_lr: Annotated[float, Field(ge=0)] = 0.0
    lr_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    unfreeze: Annotated[float, Field(ge=0, le=1)] = 0.0
    weight: Rate | dict[str, Rate] = 1.0
    losses: dict[str, Losses] = Field(default={})
    teachers: dict[str, str] = Field(default={})
    mixture: AnyMixture = Proportional()
    batches_per_step: Count = 1
    weighting: AnyWeighting = Equal()
    merge: AnyMerge = Sum()
    regularizers: Regularizers = ()
    average: AnyAverage | None = None
    update: Update = ("encoder", "adapters", "heads")
    schedule: AnySchedule = Linear()
    optimizer: AnyOptimizer = AdamWSpec()
    conflicts_every: Annotated[int, Field(ge=0)] = 0

    def trained(self, tasks: dict[str, Task]) -> list[str]:
        """The tasks that the stage trains, in the order of the recipe."""
        return [name for name in tasks if not self.tasks or name in self.tasks]

    def of(self, key: str, task: str) -> Any:
        """A setting for one task: its own, else the default."""
        value = getattr(self, key)
        if not isinstance(value, dict):
            return value
        return value.get(task, type(self).model_fields[key].default)

    def losses_of(self, name: str, task: Task) -> tuple[Loss, ...]:
        """The losses of a task."""
        return self.losses.get(name, (task.loss,))

    def faults(self, tasks: dict[str, Task]) -> list[tuple[str, str]]:
        """What does not fit the tasks: (key, expected, found, remedy)."""
        found = [("tasks", _unknown(name, tasks)) for name in self.tasks if name not in tasks]
        for key in ("samples", "batch", "head_lr", "weight", "losses", "teachers"):
            value = getattr(self, key)
            if isinstance(value, dict):
                found += [(f"{key}.{name}", _unknown(name, tasks)) for name in value if name not in tasks]
        for key, value in self.mixture:
            if isinstance(value, dict):
                found += [(f"mixture.{key}.{name}", _unknown(name, tasks)) for name in value if name not in tasks]
        for name, losses in self.losses.items():
            found += [
                (f"losses.{name}", fault) for loss in losses if name in tasks for fault in _misfits(loss, tasks[name])
            ]
        found += self._teacherless(tasks)
        found += self._regularizer_faults(tasks)
        if not any(part.startswith("encoder") for part in self.update):
            still = f"expected 'encoder' in update, found {list(self.update)}: no layer moves; add it"
            found += [
                (key, still) for key, value in (("lr_decay", self.lr_decay != 1), ("unfreeze", self.unfreeze)) if value
            ]
        single = "" if self.batches_per_step > 1 else "batches_per_step = 1"
        reason = f"mixture {self.mixture.kind!r}" if self.mixture.phased else single
        alone = f"found {reason}: with one task in a step"
        remedy = "set batches_per_step to the number of tasks, mixture to round_robin"
        several = len(self.trained(tasks)) > 1
        for key, method, together in (
            ("weighting", self.weighting, self.weighting.apart),
            ("merge", self.merge, not self.merge.plain),
        ):
            if together and several and reason:
                expected = f"expected steps with several tasks for {method.kind!r}"
                found.append((key, f"{expected}, {alone} it changes nothing; {remedy}"))
        found += [("weighting", fault) for fault in self.weighting.faults(self.epochs, set(self.update) != {"heads"})]
        if self.conflicts_every and several and reason:
            found.append(("conflicts_every", f"expected steps with several tasks, {alone} nothing conflicts; {remedy}"))
        return found

    def _teacherless(self, tasks: dict[str, Task]) -> list[tuple[str, str]]:
        """Losses without the teacher that they ask for, and teachers that nobody asks."""
        found = []
        for name in self.trained(tasks):
            asking = [loss.kind for loss in self.losses_of(name, tasks[name]) if loss.asks != "nothing"]
            if asking and name not in self.teachers:
                said = f"expected a teacher for {asking[0]!r}, found none; name a run with teachers.{name}"
                found.append((f"losses.{name}", said))
        for name in self.teachers:
            if name in tasks and all(loss.asks == "nothing" for loss in self.losses_of(name, tasks[name])):
                remedy = f"add 'distill' to losses.{name}"
                found.append((f"teachers.{name}", f"expected a loss that learns from it, found none; {remedy}"))
        return found

    def _regularizer_faults(self, tasks: dict[str, Task]) -> list[tuple[str, str]]:
        """What does not fit the regularizers."""
        found = []
        trained = self.trained(tasks)
        for regularizer in self.regularizers:
            found += [
                ("regularizers", f"{regularizer.kind!r}: {fault}")
                for name in regularizer.tasks
                for fault in _unregularized(regularizer, name, tasks, trained)
            ]
        if self.regularizers and all(part == "heads" for part in self.update):
            kinds = ", ".join(repr(regularizer.kind) for regularizer in self.regularizers)
            expected = (
                f"expected an encoder that moves for {kinds}, found update = ['heads'], with which it runs only once"
            )
            found.append(("regularizers", f"{expected}; add 'encoder' to update, or leave them out"))
        return found


def _unregularized(regularizer: Regularizer, name: str, tasks: dict[str, Task], trained: list[str]) -> list[str]:
    if name not in trained:
        return [_unknown(name, tasks) if name not in tasks else f"expected a task of this stage, found {name!r}"]
    if tasks[name].kind not in regularizer.kinds:
        kinds = " or ".join(sorted(regularizer.kinds))
        return [f"is for kind {kinds}, found a task of kind {tasks[name].kind!r}"]
    return []


def _unknown(name: str, tasks: dict[str, Task]) -> str:
    return f"expected a task of this recipe ({', '.join(tasks)}), found {name!r}"


def _misfits(loss: Loss, task: Task) -> list[str]:
    if task.kind not in loss.kinds:
        kinds = " or ".join(sorted(loss.kinds))
        return [f"{loss.kind!r} is for kind {kinds}, found a task of kind {task.kind!r}"]
    if loss.reads == "vectors" and not task.is_pair:
        return [f"{loss.kind!r} reads the two texts of a pair, found a task with one `text` column"]
    return []
