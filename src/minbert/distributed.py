"""Several processes as one: collectives only, and none of them does anything where there is one process.

`torchrun --nproc-per-node 2 -m -- minbert train ...` starts the processes and tells each of them its rank. Every
process sees the whole of each batch's outputs, but encodes its share of the rows; the gradients are summed. So any
loss is exact, those that couple the rows of a batch too, and none of them knows of it.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from minbert.errors import RunError, TrainingError

PATIENCE = timedelta(seconds=55)
"""How long a process waits for the others before it gives up."""

BUCKET = 1 << 23
"""Numbers that are summed at a time: many small messages take longer than a few large ones."""


def rank() -> int:
    """The number of this process, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def size() -> int:
    """How many processes work together."""
    return dist.get_world_size() if dist.is_initialized() else 1


@contextmanager
def together(device: torch.device) -> Iterator[None]:
    """Joins the other processes, if torchrun has started any.

    Raises:
        TrainingError: another process has gone; names this one.
        RunError: a Mac's GPU, whose tensors no library sums over processes.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or dist.is_initialized():
        yield
        return
    if device.type == "mps":
        raise RunError("device: expected cpu or cuda for several processes, found 'mps'; start one process")
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    # Scores lie on the processor wherever the model runs, so both kinds of tensor must find their way.
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield
        meet()
    finally:
        dist.destroy_process_group()


@contextmanager
def reached() -> Iterator[None]:
    """Turns the failure of a collective into an error that says what happened."""
    try:
        yield
    except RuntimeError as fault:
        reason = str(fault).splitlines()[0]
        raise TrainingError(
            f"process {rank()} of {size()}: another process of this run has gone ({reason:.120}); "
            "see what it said, then go on with --resume"
        ) from fault


def meet() -> None:
    """Waits until all processes are here."""
    if size() > 1:
        with reached():
            dist.barrier()


def first_says(value: int) -> int:
    """The value of process 0, in every process."""
    if size() == 1:
        return value
    told = torch.tensor([value])
    with reached():
        dist.broadcast(told, 0)
    return int(told)


def largest(value: int) -> int:
    """The largest of the processes' values, in every process."""
    if size() == 1:
        return value
    told = torch.tensor([value])
    with reached():
        dist.all_reduce(told, dist.ReduceOp.MAX)
    return int(told)


def owners(sizes: Sequence[int]) -> list[int]:
    """Which process takes which of some tensors, so that each has about as many numbers: the largest first."""
    loads, found = [0] * size(), [0] * len(sizes)
    for place in sorted(range(len(sizes)), key=lambda i: -sizes[i]):
        found[place] = loads.index(min(loads))
        loads[found[place]] += sizes[place]
    return found


def spread(tensors: Sequence[Tensor], origins: Sequence[int]) -> None:
    """Gives every process, in place, each tensor as the process of its origin has it; all of one type and device."""
    for origin in range(size()):
        mine = [tensor for tensor, owner in zip(tensors, origins, strict=True) if owner == origin]
        if not mine:
            continue
        flat = torch.cat([tensor.reshape(-1) for tensor in mine])
        with reached():
            dist.broadcast(flat, origin)
        for tensor, part in zip(mine, flat.split([t.numel() for t in mine]), strict=True):
            tensor.copy_(part.view_as(tensor))


def add(tensors: Sequence[Tensor]) -> None:
    """Sums each tensor over the processes, in place; all of one type, on one device, in buckets."""
    if size() == 1:
        return
    bucket: list[Tensor] = []
    for number, tensor in enumerate(tensors):
        bucket.append(tensor)
        if number == len(tensors) - 1 or sum(map(Tensor.numel, bucket)) >= BUCKET:
            _add_bucket(bucket)
            bucket = []


def _add_bucket(bucket: list[Tensor]) -> None:
    flat = torch.cat([tensor.reshape(-1) for tensor in bucket])
    with reached():
        dist.all_reduce(flat)
    for tensor, part in zip(bucket, flat.split([t.numel() for t in bucket]), strict=True):
        tensor.copy_(part.view_as(tensor))


def share(rows: Any) -> Any:
    """The rows that this process encodes: a stretch of them, or all where there are fewer than processes."""
    if size() == 1 or len(rows) < size():
        return rows
    bounds = _bounds(len(rows))
    return rows[bounds[rank()] : bounds[rank() + 1]]


def whole(mine: Tensor, rows: int) -> Tensor:
    """The outputs of all rows, from those of each process's share; gradients flow back into one's own.

    Args:
        mine: of the rows that `share` gave, (share, ...).
        rows: how many there are in all.
    """
    if size() == 1:
        return mine
    return _Whole.apply(mine, rows)  # type: ignore[no-any-return, no-untyped-call]


class _Whole(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, mine: Tensor, rows: int) -> Tensor:
        ctx.rows = rows
        if rows < size():
            return mine.clone()
        bounds = _bounds(rows)
        most = max(b - a for a, b in pairwise(bounds))
        padded = mine.new_zeros(most, *mine.shape[1:])
        padded[: len(mine)] = mine
        parts = [torch.empty_like(padded) for _ in range(size())]
        with reached():
            dist.all_gather(parts, padded)
        return torch.cat([part[: bounds[i + 1] - bounds[i]] for i, part in enumerate(parts)])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        if ctx.rows < size():
            # Every process made all rows, and their gradients will be summed.
            return grad / size(), None
        bounds = _bounds(ctx.rows)
        return grad[bounds[rank()] : bounds[rank() + 1]], None


def _bounds(rows: int) -> list[int]:
    """Where the share of each process begins."""
    return [rows * i // size() for i in range(size() + 1)]
