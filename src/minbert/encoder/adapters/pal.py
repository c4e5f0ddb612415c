"""Projected attention layers: a narrow attention for each task, beside every layer."""

from typing import Literal

import torch
from pydantic import Field
from torch import nn

from minbert.encoder.adapters.adapter import Adapter, TaskAdapter
from minbert.encoder.attention import attend
from minbert.encoder.config import EncoderConfig
from minbert.encoder.firsts import attend_firsts
from minbert.encoder.layout import Layout
from minbert.encoder.linear import Linear
from minbert.shapes import Hidden, Vectors


class ProjectedAttention(TaskAdapter):
    """The projected attention layers of one task: `V_E` and `V_D` once, queries, keys and values for every layer."""

    def __init__(self, config: EncoderConfig, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.narrow = Linear(config.hidden_size, width)
        self.layers = nn.ModuleList(Linear(width, 3 * width) for _ in range(config.num_hidden_layers))
        self.widen = Linear(width, config.hidden_size)

    def forward(self, number: int, hidden: Hidden, layout: Layout, firsts: bool = False) -> Hidden | Vectors:
        """`V_D MHA(V_E h)`."""
        narrow, projection = self.narrow(hidden), self.layers[number]
        assert isinstance(projection, Linear)
        if firsts:
            mixed = attend_firsts(narrow, projection.whole(), projection.bias, self.heads, layout)
        else:
            mixed = attend(projection(narrow).unflatten(-1, (3, self.heads, -1)), layout).flatten(1)
        return self.widen(mixed)  # type: ignore[no-any-return]


class Pal(Adapter):
    """`LN(h_ffn + (h_attn + TS_t(h)))` in every layer, `TS_t(h) = V_D MHA(V_E h)`, for each task t its own.

    `V_E` and `V_D` are shared by the layers; `V_D` begins as zero. `embed`, and the checkpoint's `encoder/`, are
    without any task's part.

    Attributes:
        width: of the narrow attention; a multiple of `heads`.
        heads: of the narrow attention, 1 or more.

    Source: Stickland & Murray 2019, "BERT and PALs", section 3.3; the number of heads, and that no matrix follows
    them, from the authors' code.
    Deviates: no GELU behind `V_D`, which the authors' code has and the paper has not; no dropout of the narrow
    attention's weights, and beside MPNet no bias for distances; `V_D` zero.
    """

    shared = False
    kind: Literal["pal"] = "pal"
    width: int = Field(default=204, ge=1)
    heads: int = Field(default=6, ge=1)

    def model_post_init(self, context: object) -> None:
        """Checks what concerns two keys."""
        if self.width % self.heads:
            raise ValueError(f"expected a width that is a multiple of {self.heads} heads, found {self.width}")

    def build(self, config: EncoderConfig, generator: torch.Generator) -> TaskAdapter:
        """The module of one task."""
        module = ProjectedAttention(config, self.width, self.heads)
        for part in module.modules():
            if isinstance(part, nn.Linear):
                part.weight.data.normal_(0.0, config.initializer_range, generator=generator)
                part.bias.data.zero_()
        module.widen.weight.data.zero_()
        return module
