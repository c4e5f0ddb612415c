"""`Packed`: the only shape of a batch. N sequences one behind the other, no padding."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor

from minbert.text.tokenizer import Tokens


@dataclass(frozen=True)
class Packed:
    """N sequences of T tokens in all, sorted by length; or several such packs one behind the other.

    Attributes:
        ids: token ids, (tokens,).
        positions: 0, 1, 2, ... from the start of each sequence, (tokens,).
        segments: which text of a joint pair a token belongs to, (tokens,).
        offsets: where each sequence starts, and T at the end, (sequences + 1,).
        index: the place in the pack of the sequence that was given i-th, (sequences,): `vectors[index]` brings
            vectors back into the order of the rows.
        lengths: the lengths in the order of the pack, as plain numbers.
        parts: sequences of each of the packs that stand here.
    """

    ids: Tensor
    positions: Tensor
    segments: Tensor
    offsets: Tensor
    index: Tensor
    lengths: tuple[int, ...]
    parts: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.lengths)

    def to(self, device: torch.device | str) -> "Packed":
        """The same pack on a device."""
        if self.ids.device == torch.device(device):
            return self
        names = ("ids", "positions", "segments", "offsets", "index")
        # To a Mac's GPU a copy that nobody waits for may be read before it is there.
        at_once = torch.device(device).type != "cuda"
        return replace(self, **{name: getattr(self, name).to(device, non_blocking=not at_once) for name in names})


def pack(sequences: Sequence[Tokens]) -> Packed:
    """Puts sequences one behind the other, shortest first; equal lengths keep their order."""
    if len(sequences) == 1:
        return _alone(sequences[0])
    sizes = np.array([len(sequence.ids) for sequence in sequences], dtype=np.int64)
    order = np.argsort(sizes, kind="stable")
    index = np.empty_like(order)
    index[order] = np.arange(len(order))
    offsets = np.zeros(len(sizes) + 1, dtype=np.int64)
    np.cumsum(sizes[order], out=offsets[1:])
    total = int(offsets[-1])
    return Packed(
        ids=torch.from_numpy(np.concatenate([sequences[i].ids for i in order])),
        positions=torch.from_numpy(np.arange(total) - np.repeat(offsets[:-1], sizes[order])),
        segments=torch.from_numpy(np.concatenate([sequences[i].segments for i in order])),
        offsets=torch.from_numpy(offsets),
        index=torch.from_numpy(index),
        lengths=tuple(sizes[order].tolist()),
        parts=(len(sizes),),
    )


def _alone(sequence: Tokens) -> Packed:
    """One sequence: for a short text each of the steps above would count."""
    length = len(sequence.ids)
    return Packed(
        ids=torch.from_numpy(sequence.ids),
        positions=torch.from_numpy(np.arange(length)),
        segments=torch.from_numpy(sequence.segments),
        offsets=torch.from_numpy(np.array([0, length])),
        index=torch.from_numpy(np.array([0])),
        lengths=(length,),
        parts=(1,),
    )


def join(packs: Sequence[Packed]) -> Packed:
    """Several packs as one, each of them a part of it: for one pass over all their tokens."""
    if len(packs) == 1:
        return packs[0]
    tokens = list(accumulate((len(pack.ids) for pack in packs), initial=0))
    sequences = list(accumulate((len(pack) for pack in packs), initial=0))
    ends = [pack.offsets[1:] + token for pack, token in zip(packs, tokens, strict=False)]
    return Packed(
        ids=torch.cat([pack.ids for pack in packs]),
        positions=torch.cat([pack.positions for pack in packs]),
        segments=torch.cat([pack.segments for pack in packs]),
        offsets=torch.cat([packs[0].offsets[:1], *ends]),
        index=torch.cat([pack.index + first for pack, first in zip(packs, sequences, strict=False)]),
        lengths=tuple(length for pack in packs for length in pack.lengths),
        parts=tuple(part for pack in packs for part in pack.parts),
    )
