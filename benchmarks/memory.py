"""Bytes that autograd keeps for the way back, against transformers with padding."""

from collections.abc import Callable
from typing import Any

import torch

from benchmarks.material import need
from benchmarks.race import Row
from benchmarks.training import BATCH, Ours, Theirs, Work, works


def kept(work: Callable[[], Any], weights: list[torch.Tensor]) -> int:
    """The most bytes of distinct storages, weights apart, that one batch's graph holds."""
    own = {weight.untyped_storage().data_ptr() for weight in weights}
    sizes: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        if not tensor.is_sparse and tensor.untyped_storage().data_ptr() not in own:
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        work()
    return sum(sizes.values())


def run() -> list[Row]:
    """One batch of each work."""
    need("transformers")
    rows = []
    for full in works():
        work = Work(full.kind, full.apart, full.rows[:BATCH], full.labels[:BATCH])
        mine, peers = Ours(work, torch.bfloat16), {name: Theirs(work, best) for name, best in PEERS.items()}
        ours = kept(mine, list(mine.model.parameters()))
        for name, peer in peers.items():
            theirs = kept(peer, [*peer.bert.parameters(), *peer.head.parameters()])
            must = 1 / 0.6 if name == "transformers, padded" else None
            share = f"{ours / theirs:.2f} of it; asked at most .6" if must else f"{ours / theirs:.2f} of it"
            mib = f"{name}: {theirs / 2**20:,.0f} MiB"
            rows.append(
                Row(f"kept for backward, {work.name}", f"{ours / 2**20:,.0f} MiB", mib, theirs / ours, must, share)
            )
    return rows


PEERS = {"transformers, padded": False, "transformers, bf16, sorted": True}
