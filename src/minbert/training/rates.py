"""Which learning rate each parameter of a stage has."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from torch import nn

from minbert.encoder import low_rank_parameters
from minbert.model import MultiTaskModel
from minbert.recipe import Stage

Parameters = Sequence[nn.Parameter]


def rates(
    model: MultiTaskModel, stage: Stage, shared: Parameters, own: Mapping[str, Parameters]
) -> list[tuple[float, list[nn.Parameter]]]:
    """Groups of parameters with their learning rates; every parameter that is trained stands in one of them.

    Layer k of n has the rate `lr * lr_decay ** (n - k)`, the embeddings are k = 0; BERT's pooler goes with layer n.

    Args:
        model: whose parameters they are.
        stage: what the recipe says.
        shared: the shared parameters that are trained.
        own: those of each task: of its head, and of its adapter.

    Source: Howard & Ruder 2018, section 3.2, "discriminative fine-tuning"; Clark et al. 2020, appendix B.
    Deviates: layer n has `lr` itself, as in the first; the second holds it below the rate of the head.
    """
    adapter_lr = stage.adapter_lr or stage.lr
    adapters = {*low_rank_parameters(model.encoder), *model.adapters.parameters()}
    blocks = model.encoder.blocks()
    above = {parameter: n for n, block in enumerate(reversed(blocks)) for parameter in block.parameters()}
    groups: dict[float, list[nn.Parameter]] = defaultdict(list)
    for parameter in shared:
        decayed = stage.lr * stage.lr_decay ** above.get(parameter, 0)
        groups[adapter_lr if parameter in adapters else decayed].append(parameter)
    found = list(groups.items())
    for task, parameters in own.items():
        head_lr = stage.of("head_lr", task) or stage.lr
        found.append((head_lr, [parameter for parameter in parameters if parameter not in adapters]))
        found.append((adapter_lr, [parameter for parameter in parameters if parameter in adapters]))
    return found
