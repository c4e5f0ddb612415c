"""Which parameters a stage trains."""

from torch import nn

from minbert.recipe import Stage
from minbert.training.setup import Setup


def trainable(setup: Setup, stage: Stage, tasks: list[str]) -> tuple[list[nn.Parameter], dict[str, list[nn.Parameter]]]:
    """The parameters that a stage trains: shared ones, and those of each task's head. All others are frozen."""
    model = setup.model
    model.requires_grad_(False)
    parts: list[nn.Module] = []
    for name in stage.update:
        if name == "encoder":
            parts.append(model.encoder)
        elif name.startswith("encoder["):
            first = int(name[len("encoder[") : -len(":]")])
            parts += [*model.encoder.blocks()[1:][first:], model.encoder.pooler]
    shared = list(dict.fromkeys(parameter for part in parts for parameter in part.parameters()))
    heads = {task: list(model.head(task).parameters()) if "heads" in stage.update else [] for task in tasks}
    for parameter in [*shared, *(p for parameters in heads.values() for p in parameters)]:
        parameter.requires_grad_(True)
    return shared, heads
