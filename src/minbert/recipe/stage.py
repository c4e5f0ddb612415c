"""A stage: how the tasks are learned. Tasks say what, stages say how."""

import re
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field

from minbert.gradients import AnyMerge, AnyWeighting, Equal, Sum
from minbert.losses import AnyLoss, Loss
from minbert.mixtures import AnyMixture, Proportional
from minbert.optimizer import AdamWSpec, AnyAverage, AnyOptimizer, AnySchedule, Linear
from minbert.regularizers import AnyRegularizer
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
        tasks: which tasks are trained; empty: all. The others are scored after each epoch too, as far as they can be.
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
