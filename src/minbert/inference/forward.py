"""Many rows through the model without gradients, in packs of near-equal length and bounded size."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import numpy as np
import torch
from torch import Tensor, nn

import minbert.distributed as distributed
from minbert.encoder import Encoder, Pooling
from minbert.inference.abreast import Rows, each
from minbert.model import MultiTaskModel
from minbert.text.batches import Forms, Texts
from minbert.text.packed import Packed

BUDGET = 2048
"""Tokens a pack on a processor: enough to keep a thread busy, few enough to stay in its cache."""

LARGE = 4096
"""The same on other devices, which work on one pack at a time."""

EVEN = 8
"""Of what the rows of a pack of more are a multiple."""

Advance = Callable[[int], None]


def silent(work: int) -> None:
    """Hears of work done and says nothing."""


def packs_of(lengths: Rows, budget: int = BUDGET) -> Iterator[Rows]:
    """Row numbers in packs: sorted by length, each pack within the budget (one row at least).

    Of a larger pack the rows are a multiple of `EVEN`: for each number of them the matrix library makes plans anew.
    """
    order = np.argsort(lengths, kind="stable")
    # A few special tokens come with each row; four is the most that a pair has in the usual templates.
    ends = np.cumsum(lengths[order] + 4)
    start = 0
    while start < len(order):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + budget, "right")))
        if stop < len(order) and stop - start > EVEN:
            stop -= (stop - start) % EVEN
        yield order[start:stop]
        start = stop


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Dropout off; afterwards each part is in the mode that it was in."""
    # By the modules' own tables, since for a short text their way of looking up parts counts.
    parts = [module]
    for part in parts:
        parts += [child for child in part._modules.values() if child is not None]
    training = [part for part in parts if part.training]
    for part in training:
        part.training = False
    try:
        yield
    finally:
        for part in training:
            part.training = True


@torch.inference_mode()
def score_rows(model: MultiTaskModel, task: str, texts: Texts, advance: Advance = silent) -> Tensor:
    """The scores of every row, (rows, outputs), float32, on the CPU; calibrated where the model is.

    Args:
        model: in whatever mode; dropout is off here.
        task: whose head is used.
        texts: the rows.
        advance: hears the number of tokens done.
    """
    device = next(model.parameters()).device
    scores = torch.zeros(len(texts), model.tasks[task].outputs)
    forms = model.forms(task)

    def score(rows: Rows) -> int:
        batch = texts.batch(rows, forms).to(device)
        scores[torch.from_numpy(rows)] = model(task, batch).scores.float().cpu()
        return len(batch.pack.ids)

    with evaluating(model):
        _each(texts, device, score, advance)
    distributed.add([scores])
    return model.calibrated(task, scores)


@torch.inference_mode()
def embed_one(encoder: Encoder, packed: Packed, how: Pooling, precision: torch.dtype) -> Tensor:
    """The vector of a pack of one text on the encoder's device, (1, width), as `embed_rows` makes it."""
    # Where no part is called that could drop anything, none need be asked: for a short text that counts.
    drops = how != "mean" or not encoder.goes_straight(packed, precision)
    with evaluating(encoder) if drops else nullcontext():
        return encoder.vectors(packed, how, precision).cpu()


@torch.inference_mode()
def embed_rows(
    encoder: Encoder, texts: Texts, how: Pooling, advance: Advance = silent, precision: torch.dtype | None = None
) -> Tensor:
    """One vector per text, (texts, width), float32, on the CPU, not normalised.

    Args:
        encoder: in whatever mode; dropout is off here.
        texts: of one column.
        how: the pooling.
        advance: hears the number of tokens done.
        precision: of the matrix products; None: the encoder's own.
    """
    device = encoder.device
    vectors = torch.zeros(len(texts), encoder.width)

    def embed(rows: Rows) -> int:
        packed = texts.packed(rows, Forms(whole=True, apart=False)).to(device)
        vectors[torch.from_numpy(rows)] = encoder.vectors(packed, how, precision).cpu()
        return len(packed.ids)

    with evaluating(encoder):
        _each(texts, device, embed, advance)
    distributed.add([vectors])
    return vectors


def _each(texts: Texts, device: torch.device, work: Callable[[Rows], int], advance: Advance) -> None:
    """Does the work of every pack of some texts; of several processes, each does that of every n-th."""
    packs = list(packs_of(texts.lengths(), BUDGET if device.type == "cpu" else LARGE))
    for tokens in each(packs[distributed.rank() :: distributed.size()], work, device):
        advance(distributed.size() * tokens)
