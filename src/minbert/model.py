"""One encoder, a head per task."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from minbert.encoder import (
    OWN_WAYS,
    WEIGHTS,
    Adapter,
    AnyAdapter,
    ByTask,
    Encoder,
    EncoderConfig,
    Pooling,
    TaskAdapter,
    folded,
    load_folder,
    low_rank_parameters,
    save_folder,
    whole_folder,
)
from minbert.errors import WeightsError
from minbert.heads import HeadModule, start
from minbert.losses import Loss
from minbert.outputs import Outputs
from minbert.randomness import generator
from minbert.regularizers import Regularizer
from minbert.storage import digests_of, valid_folder
from minbert.tasks import AnyTask, Task
from minbert.text.batches import Batch, Forms
from minbert.text.tokenizer import Tokenizer

Pooled = tuple[Tensor | None, tuple[Tensor, ...]]
"""The vectors of rows as wholes, and of their texts apart, as far as they stood in the pack."""

Line = tuple[float, float]
"""A scale and a shift, by which a task's logits become calibrated ones: `scale * logit + shift`."""

HEADS, ADAPTERS, SETTINGS = "heads.safetensors", "adapters.safetensors", "model.json"


class MultiTaskModel(nn.Module):
    """One encoder, a head per task, and the adapters that are asked for.

    Args:
        encoder: the shared part.
        tokenizer: of the encoder.
        tasks: by name, with their classes filled in.
        pooling: of heads that name none.
        seed: for the heads' first weights.
        config: the encoder's sizes as its folder states them, dropouts included.
        adapters: those that change the shared encoder are put into it, those of a task are built for each.
    """

    def __init__(
        self,
        encoder: Encoder,
        tokenizer: Tokenizer,
        tasks: dict[str, Task],
        pooling: Pooling = "mean",
        seed: int = 0,
        config: EncoderConfig | None = None,
        adapters: Sequence[Adapter] = (),
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.tokenizer = tokenizer
        self.tasks = dict(tasks)
        self.pooling: Pooling = pooling
        self.config = config or encoder.config
        modules = {
            _key(name): start(task.head.build(encoder.width, task.outputs), generator(seed, "head", name))
            for name, task in tasks.items()
        }
        self.heads = nn.ModuleDict(modules)
        self.adapters = nn.ModuleDict()
        kept = []
        for adapter in adapters:
            adapter.attach(encoder.blocks()[1:], generator(seed, "adapter", adapter.kind))
            built = {
                _key(name): adapter.build(encoder.config, generator(seed, "adapter", adapter.kind, name))
                for name in tasks
            }
            self.adapters.update({key: module for key, module in built.items() if module})
            kept += [adapter] if any(built.values()) else []
        self.of_tasks: tuple[Adapter, ...] = tuple(kept)
        self.calibration: dict[str, Line] = {}

    def head(self, task: str) -> HeadModule:
        """The head of a task."""
        head = self.heads[_key(task)]
        assert isinstance(head, HeadModule)
        return head

    def forms(self, task: str, readers: Sequence[Loss | Regularizer] = ()) -> Forms:
        """In which forms a task's rows must stand in a pack for its head and these losses and regularizers."""
        return forms_of(self.tasks[task], readers)

    def adapter(self, task: str) -> TaskAdapter | None:
        """The adapter of a task; None: it has none."""
        adapter = self.adapters[_key(task)] if self.adapters else None
        assert adapter is None or isinstance(adapter, TaskAdapter)
        return adapter

    def pooled(
        self, work: Sequence[tuple[str, Batch]], seeds: Sequence[int] | None = None, by_task: ByTask | None = None
    ) -> list[Pooled]:
        """What the encoder makes of batches, in one pass.

        Args:
            work: batches, each with its task.
            seeds: for dropout in training, one per batch; None: from torch's default generator.
            by_task: collects the tasks' gradients on the encoder; None: they are summed.
        """
        packs, hows = [batch.pack for _, batch in work], [self._poolings(task, batch.forms) for task, batch in work]
        adapters = [self.adapter(task) for task, _ in work] if self.adapters else []
        owners = None if by_task is None else (by_task, [task for task, _ in work])
        made = self.encoder.vectors_of(packs, hows, seeds, adapters, owners)
        found: list[Pooled] = []
        for (_, batch), vectors in zip(work, made, strict=True):
            parts = [pooled.split(len(batch.rows)) for pooled in vectors]
            found.append((parts[0][0], parts[-1][1:]) if batch.forms.whole else (None, parts[0]))
        return found

    @property
    def splits(self) -> bool:
        """Whether the gradients of several tasks on the encoder can be kept apart in one pass."""
        plain = not (self.adapters or low_rank_parameters(self.encoder))
        return self.encoder.splits and plain and self.encoder.device.type in OWN_WAYS

    def _poolings(self, task: str, forms: Forms) -> list[Pooling]:
        """The head's pooling; and where losses read the texts apart beside it, that of the embeddings they train."""
        own = self.tasks[task].head.pooling or self.pooling
        if not forms.whole and self.tasks[task].head.reads != 2:
            # The texts of a pair alone, for a loss or a regularizer.
            return [self.embedding_pooling]
        return list(dict.fromkeys((own, self.embedding_pooling))) if forms.whole and forms.apart else [own]

    def score(self, task: str, whole: Tensor | None, apart: tuple[Tensor, ...]) -> Outputs:
        """What the head of a task makes of pooled vectors."""
        given = apart if whole is None else (whole, *apart)[: self.tasks[task].head.reads]
        outputs: Outputs = self.head(task)(*given)
        # A loss may read the texts apart beside a head that does not.
        return outputs if outputs.vectors else Outputs(outputs.scores, apart)

    def forward(self, task: str, batch: Batch) -> Outputs:
        """The outputs of a batch of a task."""
        return self.score(task, *self.pooled([(task, batch)])[0])

    def calibrated(self, task: str, scores: Tensor) -> Tensor:
        """Logits of a task's head, (rows, outputs), as its calibration has them; as they are where it has none."""
        if task not in self.calibration:
            return scores
        scale, shift = self.calibration[task]
        return scale * scores + shift

    @property
    def embedding_pooling(self) -> Pooling:
        """How embeddings are pooled: as the heads' vectors are, except that BERT's pooler is for heads only."""
        return "cls" if self.pooling == "cls" else "mean"


def forms_of(task: Task, readers: Sequence[Loss | Regularizer] = ()) -> Forms:
    """In which forms a task's rows must stand in a pack for its head and these losses and regularizers."""
    reads = task.head.reads
    vectors = any(reader.reads == "vectors" for reader in readers)
    return Forms(whole=reads != 2, apart=reads > 1 or (vectors and task.is_pair))


def _key(task: str) -> str:
    # A ModuleDict refuses names such as "type" or "items"; a task may be called so.
    return f"to_{task}"


def _parts(model: MultiTaskModel) -> dict[str, nn.ModuleDict]:
    """What stands beside the encoder, by the file in which it is kept."""
    return {HEADS: model.heads, **({ADAPTERS: model.adapters} if model.adapters else {})}


def save_model(folder: Path, model: MultiTaskModel) -> None:
    """Writes a model into an existing, empty folder: `encoder/`, the heads, and what the tasks are.

    An adapter that changes the shared encoder is added to its weights; those of the tasks have a file of their own.
    """
    (folder / "encoder").mkdir()
    with folded(model.encoder):
        save_folder(folder / "encoder", model.encoder, model.tokenizer, model.config, model.embedding_pooling)
    for name, part in _parts(model).items():
        save_file({key: t.detach().cpu().contiguous() for key, t in part.state_dict().items()}, folder / name)
    tasks = {name: task.model_dump(mode="json", exclude_none=True) for name, task in model.tasks.items()}
    settings: dict[str, Any] = {"pooling": model.pooling, "tasks": tasks}
    if model.of_tasks:
        settings["adapters"] = [adapter.model_dump(mode="json") for adapter in model.of_tasks]
    if model.calibration:
        settings["calibration"] = model.calibration
    (folder / SETTINGS).write_text(json.dumps(settings, indent=2) + "\n")


def take_heads(model: MultiTaskModel, folder: Path, tasks: Sequence[str]) -> None:
    """Gives the heads of some tasks, and their adapters, the weights that they have in a whole checkpoint.

    Raises:
        WeightsError: tensors do not fit, or the checkpoint has adapters that the model lacks.
    """
    had = _read_adapters(folder)
    if had and had != model.of_tasks:
        said = " and ".join(repr(adapter.kind) for adapter in had)
        raise WeightsError(f"encoder.adapters: expected {said} as in {folder}, whose heads were trained with it")
    for file, part in _parts(model).items():
        if file == HEADS or had:
            with _fitting(folder / file):
                tensors = load_file(folder / file)
                for task in tasks:
                    prefix = f"{_key(task)}."
                    mine = {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
                    part[_key(task)].load_state_dict(mine)


@contextmanager
def _fitting(file: Path) -> Iterator[None]:
    """Turns what torch says of tensors that do not fit into one named error."""
    try:
        yield
    except (RuntimeError, SafetensorError) as fault:
        raise WeightsError(f"{file}: the {file.stem} do not fit the tasks ({fault})") from fault


def _settings(folder: Path) -> dict[str, Any]:
    """What a whole checkpoint says beside its tensors."""
    found: dict[str, Any] = json.loads((folder / SETTINGS).read_text())
    return found


def read_settings(folder: Path) -> tuple[Pooling, dict[str, Task]]:
    """How the heads of a whole checkpoint pool, and what its tasks are."""
    settings = _settings(folder)
    return settings["pooling"], TypeAdapter(dict[str, AnyTask]).validate_python(settings["tasks"])


def _read_adapters(folder: Path) -> tuple[Adapter, ...]:
    """The tasks' adapters of a whole checkpoint."""
    return TypeAdapter(tuple[AnyAdapter, ...]).validate_python(_settings(folder).get("adapters", ()))


def read_calibration(folder: Path) -> dict[str, Line]:
    """The calibration of a whole checkpoint's tasks."""
    return TypeAdapter(dict[str, Line]).validate_python(_settings(folder).get("calibration", {}))


def load_model(folder: Path) -> MultiTaskModel:
    """Opens a model that `save_model` wrote and `write_folder` sealed.

    Raises:
        RunError: a file is missing or damaged.
        WeightsError: tensors do not fit.
    """
    folder = valid_folder(folder)
    pooling, tasks = read_settings(folder)
    source = whole_folder(folder / "encoder", digests_of(folder).get(f"encoder/{WEIGHTS}", ""))
    tokens = json.loads((folder / "encoder" / "tokenizer_config.json").read_text())["model_max_length"]
    loaded = load_folder(source, tokens)
    model = MultiTaskModel(loaded.encoder, loaded.tokenizer, tasks, pooling, adapters=_read_adapters(folder))
    for name, part in _parts(model).items():
        with _fitting(folder / name):
            part.load_state_dict(load_file(folder / name))
    model.calibration = read_calibration(folder)
    return model.eval()
