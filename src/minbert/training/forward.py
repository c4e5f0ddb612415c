"""How a slot of the plan becomes outputs: through the whole model, or from encodings computed once."""

import hashlib
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

import minbert.distributed as distributed
from minbert.losses import Loss, Targets
from minbert.model import MultiTaskModel
from minbert.outputs import Outputs
from minbert.text.batches import Batch, Forms, Rows
from minbert.training.plan import Slot, StagePlan
from minbert.training.setup import Setup

Losses = dict[str, tuple[Loss, ...]]
Advance = Callable[[int], None]


class Live:
    """Every batch goes through the encoder.

    Args:
        setup: model and rows.
        losses: by task; they decide in which forms the rows are packed.
        advance: hears the tokens that were trained on.
    """

    def __init__(self, setup: Setup, losses: Losses, advance: Advance) -> None:
        self.setup, self.losses, self.advance = setup, losses, advance

    def __call__(self, slot: Slot) -> tuple[Outputs, Targets]:
        """The outputs and targets of a slot."""
        setup, task = self.setup, slot.task
        forms = setup.model.forms(task, self.losses[task])
        texts = setup.texts[task, "train"]
        batch = texts.batch(distributed.share(slot.rows), forms).to(setup.device)
        self.advance(TRAIN * distributed.size() * len(batch.pack.ids))
        return gathered(setup.model(task, batch), len(slot.rows)), targets(setup, slot)


def gathered(mine: Outputs, rows: int) -> Outputs:
    """The outputs of all rows of a batch, where other processes have made some of them."""
    return Outputs(distributed.whole(mine.scores, rows), tuple(distributed.whole(v, rows) for v in mine.vectors))


def targets(setup: Setup, slot: Slot) -> Targets:
    """What the model should make of the rows of a slot."""
    rows = torch.from_numpy(slot.rows)
    labels = setup.data[slot.task].splits["train"].labels[rows].to(setup.device)
    hashes = setup.texts[slot.task, "train"].hashes[rows].to(setup.device)
    return setup.model.tasks[slot.task].targets(labels, hashes)


TRAIN = 3
"""A training pass costs about three times a forward pass: progress counts it so."""


class Frozen:
    """The encoder stands still, so each row is encoded once, and only the heads run.

    Exact, because it is done in evaluation mode (no dropout in the encoder) and there is no adapter; encodings are kept
    under the digest of weights and ids and the pooling, so two stages with the same frozen encoder share them.

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
            pooling = setup.recipe.tasks[task].head.pooling or setup.recipe.encoder.pooling
            ids = hashlib.sha256(b"".join(t.flat.tobytes() for t in setup.texts[task, "train"].tables)).hexdigest()
            key = (weights, ids, used[task].tobytes(), forms, pooling)
            if key not in kept:
                kept[key] = encode(setup, task, used[task], forms, advance)
            self.vectors[task] = kept[key]

    def __call__(self, slot: Slot) -> tuple[Outputs, Targets]:
        """The outputs and targets of a slot."""
        setup, rows = self.setup, torch.from_numpy(distributed.share(slot.rows))
        whole, apart = self.vectors[slot.task]
        chosen = None if whole is None else whole[rows].to(setup.device)
        outputs = setup.model.score(slot.task, chosen, tuple(part[rows].to(setup.device) for part in apart))
        return gathered(outputs, len(slot.rows)), targets(setup, slot)


Kept = dict[tuple[str, str, bytes, Forms, str], tuple[Tensor | None, tuple[Tensor, ...]]]


def digest(model: MultiTaskModel) -> str:
    """SHA-256 over the encoder's tensors."""
    whole = hashlib.sha256()
    for name, tensor in sorted(model.encoder.state_dict().items()):
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
        found = model.pooled(task, batch)
        parts = [part.cpu() for part in (found[0], *found[1]) if part is not None]
        if not apart:
            apart = [torch.full((len(texts), part.shape[1]), torch.nan) for part in parts]
        for table, part in zip(apart, parts, strict=True):
            table[torch.from_numpy(chosen)] = part
        advance(len(batch.pack.ids))
    if forms.whole:
        whole, apart = apart[0], apart[1:]
    return whole, tuple(apart)
