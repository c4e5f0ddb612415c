"""Which parameters a stage trains."""

from torch import Tensor, nn

from minbert.encoder import low_rank_parameters
from minbert.errors import RecipeError
from minbert.model import MultiTaskModel
from minbert.optimizer import AdamWSpec
from minbert.recipe import Stage
from minbert.training.plan import StagePlan
from minbert.training.setup import Setup


def trainable(setup: Setup, stage: Stage, tasks: list[str]) -> tuple[list[nn.Parameter], dict[str, list[nn.Parameter]]]:
    """The parameters that a stage trains: shared ones, and those of each task. All others are frozen."""
    model = setup.model
    model.requires_grad_(False)
    parts: list[nn.Module] = []
    for name in stage.update:
        if name == "encoder":
            parts.append(model.encoder)
        elif name.startswith("encoder["):
            parts += [*model.encoder.blocks()[1:][first_layer(name) :], model.encoder.pooler]
    low_rank = dict.fromkeys(low_rank_parameters(model.encoder))
    shared = list(dict.fromkeys(p for part in parts for p in part.parameters() if p not in low_rank))
    shared += low_rank if "adapters" in stage.update else []
    own: dict[str, list[nn.Parameter]] = {}
    for task in tasks:
        used = {"heads": model.head(task), "adapters": model.adapter(task)}
        own[task] = [p for name, part in used.items() if part and name in stage.update for p in part.parameters()]
    for parameter in [*shared, *(p for parameters in own.values() for p in parameters)]:
        parameter.requires_grad_(True)
    return shared, own


def moves_vectors(model: MultiTaskModel) -> bool:
    """Whether what goes into the heads changes in training; if not, each row need be encoded once only."""
    return any(parameter.requires_grad for part in (model.encoder, model.adapters) for parameter in part.parameters())


def trained_numbers(model: MultiTaskModel) -> str:
    """How many numbers are trained, and of which parts, for the screen."""
    low_rank = set(low_rank_parameters(model.encoder))
    parts = {
        "encoder": [p for p in model.encoder.parameters() if p not in low_rank],
        "lora": low_rank,
        "tasks' adapters": model.adapters.parameters(),
        "heads": model.heads.parameters(),
    }
    counts = {name: sum(p.numel() for p in part if p.requires_grad) for name, part in parts.items()}
    named = ", ".join(f"{name} {count:,}" for name, count in counts.items() if count)
    return f"trains {sum(counts.values()):,} of {sum(p.numel() for p in model.parameters()):,} numbers: {named}"


def encoder_start(setup: Setup) -> dict[Tensor, Tensor]:
    """What the encoder's weights are before any step, where a stage lets them decay towards it; else nothing.

    A resumed run loads the encoder as it was found before it loads its snapshot, so this needs no place in one.
    """
    specs = [stage.optimizer for stage in setup.recipe.stages.values()]
    if not any(isinstance(spec, AdamWSpec) and spec.towards == "start" for spec in specs):
        return {}
    return {parameter: parameter.detach().clone() for parameter in setup.model.encoder.parameters()}


def first_layer(part: str) -> int:
    """The first layer that a part of `update` such as `encoder[4:]` names; 0 for the other parts."""
    return int(part[len("encoder[") : -len(":]")]) if part.startswith("encoder[") else 0


def check_trainable(setup: Setup, plans: dict[str, StagePlan]) -> None:
    """Whether every stage has something to train for each of its tasks.

    Raises:
        RecipeError: layers that the encoder lacks, or a head without weights on an encoder that stands still.
    """
    faults: list[str] = []
    layers = len(setup.model.encoder.blocks()) - 1
    for name, plan in plans.items():
        above = [part for part in plan.stage.update if first_layer(part) >= layers]
        faults += [f"stages.{name}.update: expected a layer below {layers}, found {part!r}" for part in above]
        shared, heads = trainable(setup, plan.stage, list(plan.tasks))
        if not shared:
            faults += [
                f"stages.{name}.update: expected something to train for {task!r}, found a head "
                f"{setup.model.tasks[task].head.kind!r} without weights; add 'encoder'"
                for task, parameters in heads.items()
                if not parameters
            ]
    if faults:
        raise RecipeError(faults)
