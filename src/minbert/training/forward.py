"""How a slot of the plan becomes outputs: through the whole model, or from encodings computed once."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

import minbert.distributed as distributed
from minbert.encoder import ByTask
from minbert.losses import Loss, Targets
from minbert.model import MultiTaskModel, Pooled
from minbert.outputs import Outputs
from minbert.regularizers import Again, Regularizer
from minbert.text.batches import Batch, Forms, Rows
from minbert.training.again import SameBatch
from minbert.training.ahead import BatchesAhead
from minbert.training.gathered import gathered
from minbert.training.plan import Slot, StagePlan
from minbert.training.setup import Setup

Losses = dict[str, tuple[Loss, ...]]
Advance = Callable[[int], None]


Work = Sequence[tuple[Slot, int]]
"""Slots of the plan, each with the seed of its dropout."""


class Found(NamedTuple):
    """A slot, what the model makes of its rows, and what it should make of them.

    Attributes:
        slot: which rows.
        outputs: of these rows.
        targets: of these rows.
        again: runs the batch once more, where a regularizer asks for it.
    """

    slot: Slot
    outputs: Outputs
    targets: Targets
    again: Again | None = None


BUDGET = 4096
"""Tokens that go through the encoder at once: enough to keep the processor busy, and what is kept for the way back is
bounded however many batches make a step."""


def at_once(sizes: Sequence[int]) -> Iterator[slice]:
    """Which of batches of so many tokens go through the encoder in one pass: as many as the budget holds, or one."""
    first = 0
    while first < len(sizes):
        last = first + max(1, sum(size <= BUDGET for size in accumulate(sizes[first:])))
        yield slice(first, last)
        first = last


class Forward(ABC):
    """From slots to their outputs and targets, one graph at a time: through the model, or from cached encodings."""

    @property
    @abstractmethod
    def splits(self) -> bool:
        """Whether the gradients of several tasks on the encoder can be kept apart in one pass."""

    @abstractmethod
    def __call__(self, work: Work, by_task: ByTask | None = None) -> Iterator[list[Found]]:
        """The outputs and targets of the work, as far as it goes at once.

        Args:
            work: slots, with the seeds of their dropout.
            by_task: collects the tasks' gradients on the encoder, in place of `.grad`; None: they are summed.
        """


class Live(Forward):
    """Every batch goes through the encoder.

    Args:
        setup: model and rows.
        losses: by task; they decide in which forms the rows are packed.
        advance: hears the tokens that were trained on.
        regularizers: of the stage; they may run a batch once more.
        weights: those in training, which a regularizer may replace.
    """

    def __init__(
        self,
        setup: Setup,
        losses: Losses,
        advance: Advance,
        regularizers: Sequence[Regularizer] = (),
        weights: Sequence[Tensor] = (),
    ) -> None:
        self.setup, self.losses, self.advance = setup, losses, advance
        names: dict[Tensor, str] = {parameter: name for name, parameter in setup.model.named_parameters()}
        self.weights = {names[weight]: weight for weight in weights}
        kinds = {task: setup.model.tasks[task].kind for task in losses}
        self.regularizers = {t: [r for r in regularizers if r.concerns(t, kind)] for t, kind in kinds.items()}
        self.batch = BatchesAhead(self._batch, setup.device.type)

    def follow(self, slots: Sequence[Slot]) -> None:
        """Says which slots come next, so that their batches can be made ready."""
        self.batch.follow(slots)

    @property
    def splits(self) -> bool:
        """Whether the model can, and no batch is run once more."""
        return self.setup.model.splits and not any(self.regularizers.values())

    def __call__(self, work: Work, by_task: ByTask | None = None) -> Iterator[list[Found]]:
        """The outputs and targets of the work; in one pass, as far as it is within the budget of tokens."""
        batches = [(slot, seed, self.batch(slot)) for slot, seed in work]
        for chosen in at_once([len(batch.pack.ids) for *_, batch in batches]):
            yield self._found(batches[chosen], by_task)

    def _batch(self, slot: Slot) -> Batch:
        """This process's share of the rows of a slot, packed."""
        readers: list[Loss | Regularizer] = [*self.losses[slot.task], *self.regularizers[slot.task]]
        return self._packed(slot, self.setup.model.forms(slot.task, readers))

    def _packed(self, slot: Slot, forms: Forms) -> Batch:
        """The same in these forms."""
        texts = self.setup.texts[slot.task, "train"]
        # The weights' own device: in another thread, `cuda` alone would be the first of several.
        return texts.batch(distributed.share(slot.rows), forms).to(self.setup.model.encoder.device)

    def _found(self, batches: list[tuple[Slot, int, Batch]], by_task: ByTask | None) -> list[Found]:
        """One pass through the encoder, then each task's head."""
        model = self.setup.model
        self._trained_on(sum(len(batch.pack.ids) for *_, batch in batches))
        seeds = [seed for _, seed, _ in batches]
        pooled = model.pooled([(slot.task, batch) for slot, _, batch in batches], seeds, by_task)
        found = [scored(self.setup, slot, seed, *p) for (slot, seed, _), p in zip(batches, pooled, strict=True)]
        for place, (slot, seed, batch) in enumerate(batches):
            if self.regularizers[slot.task]:
                again = self._again(slot, seed, batch, found[place].targets.hashes, pooled[place])
                found[place] = found[place]._replace(again=again)
        return found

    def _again(self, slot: Slot, seed: int, batch: Batch, hashes: Tensor, pooled: Pooled) -> Again:
        """What runs a batch once more."""
        model, pair = self.setup.model, self.setup.model.tasks[slot.task].is_pair

        def texts_only() -> Batch:
            return self._packed(slot, Forms(whole=not pair, apart=pair))

        return SameBatch(model, self.weights, slot.task, batch, seed, hashes, pooled, texts_only, self._trained_on)

    def _trained_on(self, tokens: int) -> None:
        self.advance((TRAIN if torch.is_grad_enabled() else 1) * distributed.size() * tokens)


def scored(setup: Setup, slot: Slot, seed: int, whole: Tensor | None, apart: tuple[Tensor, ...]) -> Found:
    """What the head of a slot's task makes of pooled vectors; its dropout draws from torch's default generator."""
    torch.manual_seed(seed)
    return Found(slot, gathered(setup.model.score(slot.task, whole, apart), len(slot.rows)), targets(setup, slot))


def targets(setup: Setup, slot: Slot) -> Targets:
    """What the model should make of the rows of a slot."""
    rows = torch.from_numpy(slot.rows)
    labels = setup.data[slot.task].splits["train"].labels[rows].to(setup.device)
    hashes = setup.texts[slot.task, "train"].hashes[rows].to(setup.device)
    return setup.model.tasks[slot.task].targets(labels, hashes)


TRAIN = 3
"""A training pass costs about three times a forward pass: progress counts it so."""


class Frozen(Forward):
    """Encoder and adapters stand still, so each row is encoded once, and only the heads run.

    Exact, because it is done in evaluation mode (no dropout in the encoder); encodings are kept under the digest of
    weights and ids and the pooling, so two stages with the same frozen encoder share them.

    Args:
        setup: model and rows.
        losses: by task.
        plan: which rows the stage will use.
        kept: encodings of earlier stages; new ones are added.
        advance: hears the tokens that were encoded.
    """

    def __init__(self, setup: Setup, losses: Losses, plan: StagePlan, kept: "Kept", advance: Advance) -> None:
        self.setup = setup
        self.vectors: dict[str, tuple[Tensor | None, tuple[Tensor, ...]]] = {}
        weights = digest(setup.model)
        used = plan.rows_used()
        for task in plan.tasks:
            forms = setup.model.forms(task, losses[task])
            pooling = setup.recipe.tasks[task].head.pooling or setup.model.pooling
            ids = hashlib.sha256(b"".join(t.flat.tobytes() for t in setup.texts[task, "train"].tables)).hexdigest()
            # Two tasks may have the same texts; with adapters of their own, they do not have the same encodings.
            whose = task if setup.model.adapters else ""
            key = (weights, whose + ids, used[task].tobytes(), forms, pooling)
            if key not in kept:
                kept[key] = encode(setup, task, used[task], forms, advance)
            self.vectors[task] = kept[key]

    @property
    def splits(self) -> bool:
        """No: the encoder has no gradients."""
        return False

    def follow(self, slots: Sequence[Slot]) -> None:
        """Its batches are encoded already."""

    def __call__(self, work: Work, by_task: ByTask | None = None) -> Iterator[list[Found]]:
        """The outputs and targets of the work."""
        yield [self._found(slot, seed) for slot, seed in work]

    def _found(self, slot: Slot, seed: int) -> Found:
        """The outputs and targets of a slot."""
        device, rows = self.setup.device, torch.from_numpy(distributed.share(slot.rows))
        whole, apart = self.vectors[slot.task]
        chosen = None if whole is None else whole[rows].to(device)
        return scored(self.setup, slot, seed, chosen, tuple(part[rows].to(device) for part in apart))


Kept = dict[tuple[str, str, bytes, Forms, str], tuple[Tensor | None, tuple[Tensor, ...]]]


def digest(model: MultiTaskModel) -> str:
    """SHA-256 over the tensors of the encoder and of the tasks' adapters."""
    whole = hashlib.sha256()
    for part in (model.encoder, model.adapters):
        for name, tensor in sorted(part.state_dict().items()):
            whole.update(name.encode() + tensor.cpu().numpy().tobytes())
    return whole.hexdigest()


@torch.no_grad()
def encode(
    setup: Setup, task: str, rows: Rows, forms: Forms, advance: Advance
) -> tuple[Tensor | None, tuple[Tensor, ...]]:
    """The pooled vectors of rows, as a table over all rows of train; other rows are NaN."""
    texts, model = setup.texts[task, "train"], setup.model
    order = rows[np.argsort(texts.lengths()[rows], kind="stable")]
    whole: Tensor | None = None
    apart: list[Tensor] = []
    for start in range(0, len(order), 64):
        chosen = order[start : start + 64]
        batch: Batch = texts.batch(chosen, forms).to(setup.device)
        (found,) = model.pooled([(task, batch)])
        parts = [part.cpu() for part in (found[0], *found[1]) if part is not None]
        if not apart:
            apart = [torch.full((len(texts), part.shape[1]), torch.nan) for part in parts]
        for table, part in zip(apart, parts, strict=True):
            table[torch.from_numpy(chosen)] = part
        advance(len(batch.pack.ids))
    if forms.whole:
        whole, apart = apart[0], apart[1:]
    return whole, tuple(apart)
