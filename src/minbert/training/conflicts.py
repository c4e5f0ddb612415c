"""What `conflicts_every` writes down while training: `conflicts.jsonl`, a line for every so many steps.

A line holds `stage`, `epoch` and `step` (both from 1, the step within the stage) and `tasks`. Where the step held two
tasks or more it also holds, by layer group (`embeddings`, `layer 0`, ..., `pooler` where a head reads it, and `all` of
them together), `norms`: of each task's gradient, and `cosines`: of each pair of tasks in the order (0, 1), (0, 2), ...,
(1, 2), ...; null where a gradient is zero. The gradients are those of the losses times `weight`, before weighting,
merging and clipping.
"""

from collections.abc import Sequence

from torch import nn

from minbert.encoder import Encoder
from minbert.gradients import cosines, group_grams
from minbert.gradients.per_task import Row
from minbert.runs import Journal, Silent

FILE = "conflicts.jsonl"
WHOLE = "all"
"""The group of all shared parameters."""


class ConflictRecord:
    """Writes down how the gradients of a stage's tasks stand to each other.

    Args:
        stage: its name.
        every: so many steps; 0: never.
        steps: of an epoch.
        groups: the places of the shared parameters, by layer group.
        journal: where the lines go.
    """

    def __init__(
        self, stage: str, every: int, steps: int, groups: dict[str, list[int]], journal: Journal | Silent
    ) -> None:
        self.stage, self.every, self.steps, self.groups, self.journal = stage, every, steps, groups, journal

    def due(self, number: int) -> bool:
        """Whether the step of this number, from 0, is written down."""
        return bool(self.every and self.groups) and number % self.every == 0

    def add(self, number: int, tasks: Sequence[str], rows: Sequence[Row]) -> None:
        """Writes a line.

        Args:
            number: of the step within the stage, from 0.
            tasks: of the step.
            rows: their gradients; empty where there is only one task.
        """
        line = {"stage": self.stage, "epoch": number // self.steps + 1, "step": number + 1, "tasks": list(tasks)}
        if rows:
            grams = group_grams(rows, list(self.groups.values()))
            # BERT's pooler belongs to the shared part, but only heads that ask for it use it.
            used = {name: gram for name, gram in zip(self.groups, grams, strict=True) if gram.any()}
            named = {**used, WHOLE: grams.sum(0)}
            norms = {name: gram.diagonal().sqrt().tolist() for name, gram in named.items()}
            line |= {
                "norms": {name: [float(f"{norm:.6g}") for norm in found] for name, found in norms.items()},
                "cosines": {
                    name: [None if cosine is None else round(cosine, 6) for cosine in cosines(gram)]
                    for name, gram in named.items()
                },
            }
        self.journal.add(**line)


def layer_groups(encoder: Encoder, shared: Sequence[nn.Parameter]) -> dict[str, list[int]]:
    """The places of the shared parameters, by layer group from bottom to top; groups without any are left out."""
    embeddings, *layers = encoder.blocks()
    parts = {"embeddings": embeddings, **{f"layer {i}": layer for i, layer in enumerate(layers)}}
    parts["pooler"] = encoder.pooler
    place = {id(parameter): i for i, parameter in enumerate(shared)}
    groups = {
        name: [place[id(parameter)] for parameter in part.parameters() if id(parameter) in place]
        for name, part in parts.items()
    }
    return {name: places for name, places in groups.items() if places}
