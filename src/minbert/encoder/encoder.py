"""What every encoder does, and what the rest of minbert needs of it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from minbert.encoder.adapters import Beside, TaskAdapter
from minbert.encoder.alone import Wanted
from minbert.encoder.config import EncoderConfig
from minbert.encoder.dropout import Noise, drop_rows
from minbert.encoder.embeddings import Embeddings
from minbert.encoder.layer import Layer
from minbert.encoder.layout import Layout, rounded
from minbert.encoder.linear import plain_products
from minbert.encoder.pooling import Pooling, pool
from minbert.encoder.split import ByTask, Owners, current, kept_apart
from minbert.encoder.straight import StraightLine, goes_straight
from minbert.shapes import Hidden, Vectors
from minbert.text.packed import Packed, join


class Pooler(nn.Module):
    """`tanh(W x + b)` over the first token's vector."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)

    def forward(self, first: Vectors) -> Vectors:
        """The pooled vectors."""
        return torch.tanh(self.dense(first))


class Encoder(nn.Module, ABC):
    """Packed tokens to hidden vectors, and hidden vectors to one vector per sequence.

    Embeddings, a stack of layers, and the pooler (used only where it is asked for).

    Args:
        config: the sizes.
        embeddings: from a pack, a precision and noise to the vectors below the first layer.
    """

    names: ClassVar[Sequence[tuple[str, str]]]
    """What the tensors are called here and in the folders of transformers."""

    splits: ClassVar[bool] = False
    """Whether the gradients of several tasks can be kept apart in one pass."""

    precision: torch.dtype = torch.float32
    """In which `vectors` computes; weights, and the means and variances of norms, stay float32."""

    def __init__(self, config: EncoderConfig, embeddings: nn.Module) -> None:
        super().__init__()
        self.config = config
        self.embeddings = embeddings
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))
        self.pooler = Pooler(config.hidden_size)
        self._line = StraightLine()

    @property
    def width(self) -> int:
        """The width of a vector."""
        return self.config.hidden_size

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.pooler.dense.weight.device

    @abstractmethod
    def layout(self, packed: Packed) -> Layout:
        """How the pack stands for attention, and what is added to its scores."""

    def forward(
        self,
        packed: Packed,
        precision: torch.dtype | None = None,
        firsts: bool = False,
        seeds: Sequence[int] | None = None,
        adapters: Sequence[TaskAdapter | None] = (),
        owners: Owners | None = None,
    ) -> Hidden | Vectors:
        """The last layer's vector of every token of the pack.

        Args:
            packed: the tokens.
            precision: in which the layers compute; weights, norms and sums stay float32. None: in the weights' own, by
                the products that lose least (of two ways in float32, the faster loses a third more).
            firsts: only the vector of each sequence's first token, (sequences, width): the last layer skips the rest.
            seeds: for dropout in training, one per part of the pack; None: from torch's default generator.
            adapters: of the tasks, one per part of the pack, None for a part without; empty: no part has one.
            owners: of the parts, where the gradients of their tasks are kept apart; None: they are summed.
        """
        if precision and self.goes_straight(packed, precision) and not any(adapters):
            return self._straight(packed, precision, "first" if firsts else "tokens")
        layout = self.layout(packed)
        with nullcontext() if precision else plain_products(), kept_apart(owners, layout):
            noise = Noise(layout, seeds, packed.ids.device) if self.training else None
            beside = Beside(adapters, layout)
            hidden = _padded(self._embedded(packed, precision, noise))
            *below, last = self.layers
            for number, layer in enumerate(below):
                hidden = layer(hidden, layout, None, noise, beside(number, hidden))
            chosen = packed.offsets[:-1] if firsts else None
            top: Hidden | Vectors = last(hidden, layout, chosen, noise, beside(len(below), hidden, firsts))
            return top if firsts else top[: len(packed.ids)]

    def goes_straight(self, packed: Packed, precision: torch.dtype) -> bool:
        """Whether a pack goes the straight way, on which nothing is dropped, whatever mode the layers are in."""
        return goes_straight(packed.ids.device, precision) and not self.training

    def _straight(self, packed: Packed, precision: torch.dtype, wanted: Wanted) -> Hidden | Vectors:
        """What is wanted of a pack, without a way back, dropout and the tasks' adapters."""
        if len(packed) == 1 and isinstance(self.embeddings, Embeddings):
            alone = self._line.alone(packed, self.embeddings, self.layers, precision, wanted)
            if alone is not None:
                return alone
        hidden, chosen = _padded(self.embeddings(packed, precision)), packed.offsets[:-1] if wanted == "first" else None
        top = self._line(hidden, self.layers, self.layout(packed), chosen)
        if wanted == "first":
            return top
        tokens = top[: len(packed.ids)]
        return pool(tokens, packed, wanted, self.pooler) if wanted == "mean" else tokens

    def _embedded(self, packed: Packed, precision: torch.dtype | None, noise: Noise | None) -> Hidden:
        """What goes into the first layer; each task's by weights of its own, where tasks are kept apart."""
        split = current()
        if split is None:
            return self.embeddings(packed, precision, noise)  # type: ignore[no-any-return]
        found = []
        for task, rows in split.rows(len(packed.ids)):
            weights = split.by_task.aliases(task, self.embeddings)
            mine = replace(packed, **{name: getattr(packed, name)[rows] for name in ("ids", "positions", "segments")})
            found.append(functional_call(self.embeddings, weights, (mine, precision)))
        return drop_rows(torch.cat(found), self.config.hidden_dropout_prob, noise)

    def blocks(self) -> list[nn.Module]:
        """The parts from bottom to top: the embeddings, then one per layer."""
        return [self.embeddings, *self.layers]

    def vectors(self, packed: Packed, how: Pooling, precision: torch.dtype | None = None) -> Vectors:
        """One vector per sequence, in the order in which the sequences were given; None: in the encoder's precision."""
        precision = precision or self.precision
        if how == "mean" and self.goes_straight(packed, precision):
            return self._straight(packed, precision, how)
        return pool(self(packed, precision, how != "mean"), packed, how, self.pooler)

    def vectors_of(
        self,
        packs: Sequence[Packed],
        hows: Sequence[Sequence[Pooling]],
        seeds: Sequence[int] | None = None,
        adapters: Sequence[TaskAdapter | None] = (),
        owners: Owners | None = None,
    ) -> list[list[Vectors]]:
        """The vectors of several packs: from one pass, or two where some need the first tokens only.

        (The last layer skips the others, and draws no dropout for them. In one pass with packs that need all tokens it
        would, and a pack's masks would depend on its company.)

        Args:
            packs: one or more.
            hows: the poolings of each, one or more.
            seeds: for dropout in training, one per pack; None: from torch's default generator.
            adapters: of the tasks, one per pack, None for a pack without; empty: no pack has one.
            owners: of the packs, where the gradients of their tasks are kept apart; None: they are summed.

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
            own_tasks = owners and (owners[0], [owners[1][i] for i in chosen])
            own_adapters = [adapters[i] for i in chosen if adapters]
            hidden = self(join(mine), self.precision, firsts, own_seeds, own_adapters, own_tasks)
            sizes = [len(pack) if firsts else len(pack.ids) for pack in mine]
            parts = [hidden] if len(mine) == 1 else hidden.split(sizes)
            for i, part in zip(chosen, parts, strict=True):
                first = part if firsts or set(hows[i]) == {"mean"} else part.index_select(0, packs[i].offsets[:-1])
                pooler = self.pooler if owners is None else partial(self._pooled_apart, owners[0], owners[1][i])
                found[i] = [pool(part if how == "mean" else first, packs[i], how, pooler) for how in hows[i]]
        return [found[i] for i in range(len(packs))]

    def _pooled_apart(self, by_task: ByTask, task: str, first: Vectors) -> Vectors:
        """What the pooler makes of a task's first tokens."""
        return functional_call(self.pooler, by_task.aliases(task, self.pooler), (first,))  # type: ignore[no-any-return]


def _padded(hidden: Tensor) -> Tensor:
    """With rows of padding behind the tokens, so that the layers meet few numbers of rows."""
    tokens = len(hidden)
    return F.pad(hidden, (0, 0, 0, rounded(tokens) - tokens)) if rounded(tokens) > tokens else hidden
