"""Gradual unfreezing: the layers join the training one by one, from top to bottom."""

from collections.abc import Sequence

from torch import nn

from minbert.encoder import Encoder, low_rank_parameters


class Unfreezing:
    """Over the first share of a stage's steps the trained layers thaw from the top, the embeddings last.

    The top layer moves from the first step on, as do heads and adapters. What is frozen costs no way back.

    Args:
        encoder: whose layers they are.
        shared: the shared parameters that the stage trains.
        share: of the steps, 0 to 1; 0: all move from the first step on.

    Source: Howard & Ruder 2018, section 3.3.
    Deviates: even stretches of steps, not an epoch for each layer.
    """

    def __init__(self, encoder: Encoder, shared: Sequence[nn.Parameter], share: float) -> None:
        self.share = share
        trained = set(shared) - set(low_rank_parameters(encoder))
        blocks = [[p for p in block.parameters() if p in trained] for block in reversed(encoder.blocks())]
        self.blocks = [block for block in blocks if block]

    def __call__(self, number: int, total: int) -> None:
        """Freezes and thaws for one step: a function of its number alone, so a resumed run goes on exactly.

        Args:
            number: of the step within the stage, from 0.
            total: steps of the stage.
        """
        if not self.share:
            return
        moving = self.moving(number, total)
        for place, block in enumerate(self.blocks):
            for parameter in block:
                parameter.requires_grad_(place < moving)

    def moving(self, number: int, total: int) -> int:
        """How many of the trained parts move in a step; they are counted from the top."""
        span = round(self.share * total)
        later = len(self.blocks) - 1
        return 1 + (later if number >= span else number * later // span)
