"""Where a run was: enough to go on to byte-equal weights and metrics."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from minbert.errors import RunError
from minbert.model import MultiTaskModel
from minbert.optimizer import AdamW

Memory = dict[str, Any]


@dataclass
class Place:
    """Where the training stands.

    Attributes:
        stage: which stage, from 0.
        epoch: of the stage, from 0.
        step: steps of the epoch that are done.
        sums: of the losses of this epoch, by task.
        counts: batches of this epoch, by task.
        best: stage, epoch and select score of the best so far, and the tasks whose mean that is; empty: none yet.
        peak: the best select score of this stage; None: no epoch of it has been scored.
        waited: epochs of this stage since then.
        journal: bytes of metrics.jsonl that belong to the work that is done.
        conflicts: the same of conflicts.jsonl.
    """

    stage: int = 0
    epoch: int = 0
    step: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    best: dict[str, Any] = field(default_factory=dict)
    peak: float | None = None
    waited: int = 0
    journal: int = 0
    conflicts: int = 0

    def scored(self, score: float) -> None:
        """Takes in the select score of an epoch."""
        if self.peak is None or score > self.peak:
            self.peak, self.waited = score, 0
        else:
            self.waited += 1


def save_snapshot(
    folder: Path, place: Place, model: MultiTaskModel, optimizer: AdamW | None, memories: dict[str, Memory]
) -> None:
    """Writes a snapshot into an empty folder.

    Args:
        folder: where to.
        place: where the training stands.
        model: its weights.
        optimizer: its memory; None between stages.
        memories: what methods remember from step to step, by the method's name: tensors and plain values.
    """
    save_file(
        {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()},
        folder / "model.safetensors",
    )
    ages, tensors = {}, {}
    for name, parameter in model.named_parameters():
        state = optimizer.state.get(parameter) if optimizer else None
        if state:
            ages[name] = state["step"]
            tensors[f"m.{name}"], tensors[f"v.{name}"] = state["m"].cpu(), state["v"].cpu()
    plain: dict[str, Memory] = {}
    for name, memory in memories.items():
        tensors |= {f"{name}:{key}": value.cpu().clone() for key, value in memory.items() if isinstance(value, Tensor)}
        plain[name] = {key: value for key, value in memory.items() if not isinstance(value, Tensor)}
    save_file(tensors, folder / "optimizer.safetensors")
    (folder / "state.json").write_text(json.dumps({"place": asdict(place), "ages": ages, "memories": plain}))


def load_place(folder: Path, model: MultiTaskModel) -> Place:
    """Reads where the training was, and the weights."""
    state = json.loads((folder / "state.json").read_text())
    model.load_state_dict(load_file(folder / "model.safetensors"))
    return Place(**state["place"])


def load_memories(folder: Path, model: MultiTaskModel, optimizer: AdamW) -> dict[str, Memory]:
    """Reads the optimizer's memory into it, and gives back those of the methods.

    Raises:
        RunError: an earlier version wrote it, which kept another memory.
    """
    state, tensors = json.loads((folder / "state.json").read_text()), load_file(folder / "optimizer.safetensors")
    for name, parameter in model.named_parameters():
        if name in state["ages"]:
            if f"m.{name}" not in tensors:
                raise RunError(f"{folder}: expected a snapshot of this version, found an earlier one's; train anew")
            memory = {key: tensors[f"{key}.{name}"].to(parameter.device) for key in ("m", "v")}
            optimizer.state[parameter] = {"step": state["ages"][name], **memory}
    found: dict[str, Memory] = state["memories"]
    for name in found:
        prefix = f"{name}:"
        # Copies: a file's tensors lie at any address, and the last bit of a product may depend on that.
        mine = {key.removeprefix(prefix): value.clone() for key, value in tensors.items() if key.startswith(prefix)}
        found[name] |= mine
    return found
