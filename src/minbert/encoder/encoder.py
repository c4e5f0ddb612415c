"""What the rest of minbert needs of an encoder."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import nn

from minbert.encoder.adapters import TaskAdapter
from minbert.encoder.config import BertConfig
from minbert.encoder.pooling import Pooling, pool
from minbert.shapes import Hidden, Vectors
from minbert.text.packed import Packed, join


class Encoder(nn.Module, ABC):
    """Packed tokens to hidden vectors, and hidden vectors to one vector per sequence."""

    config: BertConfig
    pooler: nn.Module
    precision: torch.dtype = torch.float32
    """In which `vectors` computes; weights, norms and sums stay float32."""

    @property
    def width(self) -> int:
        """The width of a vector."""
        return self.config.hidden_size

    @abstractmethod
    def forward(
        self,
        packed: Packed,
        precision: torch.dtype | None = None,
        firsts: bool = False,
        seeds: Sequence[int] | None = None,
        adapters: Sequence[TaskAdapter | None] = (),
    ) -> Hidden | Vectors:
        """The last layer's vector of every token of the pack, or of each sequence's first token only."""

    @abstractmethod
    def blocks(self) -> list[nn.Module]:
        """The parts from bottom to top: the embeddings, then one per layer."""

    def vectors(self, packed: Packed, how: Pooling) -> Vectors:
        """One vector per sequence, in the order in which the sequences were given."""
        return self.vectors_of([packed], [(how,)])[0][0]

    def vectors_of(
        self,
        packs: Sequence[Packed],
        hows: Sequence[Sequence[Pooling]],
        seeds: Sequence[int] | None = None,
        adapters: Sequence[TaskAdapter | None] = (),
    ) -> list[list[Vectors]]:
        """The vectors of several packs: from one pass, or two where some need the first tokens only.

        (The last layer skips the others, and draws no dropout for them. In one pass with packs that need all tokens it
        would, and a pack's masks would depend on its company.)

        Args:
            packs: one or more.
            hows: the poolings of each, one or more.
            seeds: for dropout in training, one per pack; None: from torch's default generator.
            adapters: of the tasks, one per pack, None for a pack without; empty: no pack has one.

        Returns:
            For each pack its vectors, by each of its poolings.
        """
        found: dict[int, list[Vectors]] = {}
        for firsts in (True, False):
            chosen = [i for i, how in enumerate(hows) if ("mean" not in how) == firsts]
            mine = [packs[i] for i in chosen]
            if not mine:
                continue
            own_seeds = None if seeds is None else [seeds[i] for i in chosen]
            hidden = self(join(mine), self.precision, firsts, own_seeds, [adapters[i] for i in chosen if adapters])
            parts = hidden.split([len(pack) if firsts else len(pack.ids) for pack in mine])
            for i, part in zip(chosen, parts, strict=True):
                first = part if firsts else part.index_select(0, packs[i].offsets[:-1])
                found[i] = [pool(part if how == "mean" else first, packs[i], how, self.pooler) for how in hows[i]]
        return [found[i] for i in range(len(packs))]
