"""What the tasks' adapters add to a pack in which batches of several tasks stand."""

from collections.abc import Sequence
from itertools import groupby

import torch
import torch.nn.functional as F
from torch import Tensor

from minbert.encoder.adapters.adapter import TaskAdapter
from minbert.encoder.layout import Layout, between, rounded
from minbert.shapes import Hidden


class Beside:
    """Each part of a pack with the adapter of its task; neighbours of one task go through it together.

    Args:
        adapters: one per part, None for a part without; empty: no part has one.
        layout: of the pack.
    """

    def __init__(self, adapters: Sequence[TaskAdapter | None], layout: Layout) -> None:
        self.runs: list[tuple[TaskAdapter | None, Layout]] = []
        if any(adapters):
            first = 0
            for _, parts in groupby(adapters, key=id):
                last = first + len(list(parts))
                self.runs.append((adapters[first], between(layout, first, last)))
                first = last

    def __call__(self, number: int, hidden: Hidden, firsts: bool = False) -> Tensor | None:
        """What is added behind the attention of a layer, a row for each of its rows; None: nothing.

        Args:
            number: of the layer, from 0.
            hidden: what goes into the layer.
            firsts: a row for each sequence's first token only.
        """
        if not self.runs:
            return None
        pieces, begin = [], 0
        for adapter, layout in self.runs:
            tokens = sum(layout.tokens)
            rows = sum(layout.sequences) if firsts else tokens
            if adapter is None:
                pieces.append(hidden.new_zeros(rows, hidden.shape[1]))
            else:
                mine = F.pad(hidden[begin : begin + tokens], (0, 0, 0, rounded(tokens) - tokens))
                pieces.append(adapter(number, mine, layout, firsts)[:rows])
            begin += tokens
        if not firsts:
            pieces.append(hidden.new_zeros(len(hidden) - begin, hidden.shape[1]))
        return torch.cat(pieces)
