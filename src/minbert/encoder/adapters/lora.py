"""LoRA: a change of low rank beside a matrix that may stand still."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import BeforeValidator, Field
from torch import Tensor, nn

from minbert.encoder.adapters.adapter import Adapter
from minbert.encoder.layer import Layer
from minbert.encoder.linear import Linear
from minbert.values import listed

Target = Literal["query", "key", "value", "output", "up", "down"]
FUSED: tuple[Target, ...] = ("query", "key", "value")
"""They stand one below the other in one matrix."""


class LowRank(Linear):
    """`x W^T + b + s x (B A)^T`, for the whole of `W` or for some of the matrices that stand in it.

    Args:
        linear: the layer whose weights it takes over.
        pieces: how many matrices of equal height stand in `W`.
        chosen: which of them change; each has an `A` and a `B` of its own.
        rank: rows of each `A`.
        scale: s.
        generator: for `A`; `B` is zero.
    """

    def __init__(
        self, linear: Linear, pieces: int, chosen: Sequence[int], rank: int, scale: float, generator: torch.Generator
    ) -> None:
        super().__init__(linear.in_features, linear.out_features, device="meta")
        self.weight, self.bias = linear.weight, linear.bias
        self.chosen, self.rank, self.scale = tuple(chosen), rank, scale
        bound = linear.in_features**-0.5
        first = torch.empty(len(chosen) * rank, linear.in_features).uniform_(-bound, bound, generator=generator)
        self.lora_a = nn.Parameter(first)
        self.lora_b = nn.Parameter(torch.zeros(len(chosen), linear.out_features // pieces, rank))

    def forward(self, x: Tensor) -> Tensor:
        """`x`, (rows, in), to (rows, out)."""
        low = F.linear(x, self.lora_a.to(x.dtype))
        return super().forward(x) + F.linear(low, self._placed().to(x.dtype))

    def whole(self) -> Tensor:
        """`W + s B A`."""
        return self.weight + self._placed() @ self.lora_a

    def laid_out(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """The whole of it and b, rounded to a type, as the matrix library wants it."""
        return self.plain().laid_out(dtype)

    def _placed(self) -> Tensor:
        """`s B`, each of the chosen matrices' at its rows and at its own columns, (out, chosen * rank)."""
        height = self.lora_b.shape[1]
        placed = self.lora_b.new_zeros(self.out_features, len(self.chosen) * self.rank)
        for number, piece in enumerate(self.chosen):
            columns = slice(number * self.rank, (number + 1) * self.rank)
            placed[piece * height : (piece + 1) * height, columns] = self.scale * self.lora_b[number]
        return placed

    @torch.no_grad()
    def plain(self) -> Linear:
        """A plain layer that does the same: `W + s B A`."""
        found = Linear(self.in_features, self.out_features, device="meta")
        found.weight = nn.Parameter(self.whole())
        found.bias = self.bias
        return found.train(self.training)


class Lora(Adapter):
    """`W + alpha / rank * B A`, with `A` of a few rows and `B` zero at first; shared by all tasks.

    A checkpoint holds the sum, so it is a plain encoder; a snapshot holds `A` and `B`.

    Attributes:
        rank: rows of `A`, 1 or more.
        alpha: the change is scaled by `alpha / rank`, above 0.
        on: which matrices of every layer: `query`, `key`, `value`, `output` of attention, `up`, `down`.

    Source: Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models", equation 3.
    Deviates: `A` starts uniform within 1/sqrt(inputs), as in the authors' code, where the paper says Gaussian.
    """

    shared = True
    kind: Literal["lora"] = "lora"
    rank: int = Field(default=8, ge=1)
    alpha: float = Field(default=16.0, gt=0)
    on: Annotated[tuple[Target, ...], BeforeValidator(listed)] = ("query", "value")

    def model_post_init(self, context: object) -> None:
        """Checks that there is something to change."""
        if not self.on:
            raise ValueError("expected one matrix or more in `on`, found none")

    def attach(self, layers: Sequence[nn.Module], generator: torch.Generator) -> None:
        """Puts the low-rank parts into the layers."""
        for layer in layers:
            assert isinstance(layer, Layer)
            fused = [place for place, name in enumerate(FUSED) if name in self.on]
            if fused:
                layer.attention.projection = self._low_rank(layer.attention.projection, 3, fused, generator)
            if "output" in self.on:
                layer.attention.output = self._low_rank(layer.attention.output, 1, [0], generator)
            if "up" in self.on:
                layer.up = self._low_rank(layer.up, 1, [0], generator)
            if "down" in self.on:
                layer.down = self._low_rank(layer.down, 1, [0], generator)

    def _low_rank(self, linear: Linear, pieces: int, chosen: list[int], generator: torch.Generator) -> LowRank:
        return LowRank(linear, pieces, chosen, self.rank, self.alpha / self.rank, generator)


def low_rank_parameters(encoder: nn.Module) -> list[nn.Parameter]:
    """What LoRA has added to an encoder; empty where there is none."""
    parts = [part for part in encoder.modules() if isinstance(part, LowRank)]
    return [parameter for part in parts for parameter in (part.lora_a, part.lora_b)]


def fold(encoder: nn.Module) -> list[tuple[nn.Module, str, LowRank]]:
    """Makes a plain encoder of one with LoRA, by adding the changes to the weights.

    Returns:
        Where the low-rank layers stood: the part, the name in it, the layer.
    """
    found = [
        (part, name, child)
        for part in encoder.modules()
        for name, child in part.named_children()
        if isinstance(child, LowRank)
    ]
    for part, name, child in found:
        setattr(part, name, child.plain())
    return found


@contextmanager
def folded(encoder: nn.Module) -> Iterator[None]:
    """Within, an encoder with LoRA is a plain one; afterwards it is what it was, to the bit."""
    found = fold(encoder)
    try:
        yield
    finally:
        for part, name, child in found:
            setattr(part, name, child)
