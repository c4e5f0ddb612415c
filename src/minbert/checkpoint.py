"""A model's folder: `encoder/`, the heads, the tasks' adapters, and what the tasks are."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from minbert.encoder import (
    WEIGHTS,
    Adapter,
    AnyAdapter,
    Loaded,
    Pooling,
    fold,
    folded,
    load_folder,
    save_folder,
    whole_folder,
)
from minbert.errors import RunError, WeightsError
from minbert.model import Line, MultiTaskModel, key_of
from minbert.storage import digests_of, valid_folder
from minbert.tasks import AnyTask, Task

HEADS, ADAPTERS, SETTINGS = "heads.safetensors", "adapters.safetensors", "model.json"


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
    had = _check_adapters(folder, model)
    for file, part in _parts(model).items():
        if file == HEADS or had:
            with _fitting(folder / file):
                tensors = load_file(folder / file)
                for task in tasks:
                    prefix = f"{key_of(task)}."
                    mine = {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
                    part[key_of(task)].load_state_dict(mine)


def _check_adapters(folder: Path, model: MultiTaskModel) -> tuple[Adapter, ...]:
    """The tasks' adapters of a whole checkpoint, if the model has them too.

    Raises:
        WeightsError: it has not.
    """
    had = _read_adapters(folder)
    if had and had != model.of_tasks:
        said = " and ".join(repr(adapter.kind) for adapter in had)
        raise WeightsError(f"encoder.adapters: expected {said} as in {folder}, whose heads were trained with it")
    return had


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
    """How the heads of a whole checkpoint pool, and what its tasks are.

    Raises:
        RunError: it has heads that are not minbert's.
    """
    settings = _settings(folder)
    try:
        return settings["pooling"], TypeAdapter(dict[str, AnyTask]).validate_python(settings["tasks"])
    except ValidationError as fault:
        found = fault.errors()[0]["msg"]
        remedy = "build a MultiTaskModel of its tasks and give it the weights by `take_weights`"
        raise RunError(f"{folder / SETTINGS}: expected tasks and heads of minbert's own, {found}; {remedy}") from None


def _read_adapters(folder: Path) -> tuple[Adapter, ...]:
    """The tasks' adapters of a whole checkpoint."""
    return TypeAdapter(tuple[AnyAdapter, ...]).validate_python(_settings(folder).get("adapters", ()))


def read_calibration(folder: Path) -> dict[str, Line]:
    """The calibration of a whole checkpoint's tasks."""
    return TypeAdapter(dict[str, Line]).validate_python(_settings(folder).get("calibration", {}))


def take_weights(model: MultiTaskModel, folder: Path) -> None:
    """Gives a model the weights and the calibration of a whole checkpoint of the same tasks.

    What LoRA adds stands in the encoder's weights there.

    Raises:
        RunError: a file is missing or damaged.
        WeightsError: tensors do not fit, or the tasks' adapters are others.
    """
    folder = valid_folder(folder)
    _check_adapters(folder, model)
    model.calibration = read_calibration(folder)
    fold(model.encoder)
    model.encoder.load_state_dict(_encoder_of(folder).encoder.state_dict())
    _take_parts(model, folder)


def _encoder_of(folder: Path) -> Loaded:
    """The encoder of a whole checkpoint."""
    source = whole_folder(folder / "encoder", digests_of(folder).get(f"encoder/{WEIGHTS}", ""))
    tokens = json.loads((folder / "encoder" / "tokenizer_config.json").read_text())["model_max_length"]
    return load_folder(source, tokens)


def _take_parts(model: MultiTaskModel, folder: Path) -> None:
    """What stands beside the encoder of a whole checkpoint."""
    for name, part in _parts(model).items():
        with _fitting(folder / name):
            part.load_state_dict(load_file(folder / name))


def load_model(folder: Path) -> MultiTaskModel:
    """Opens a model that `save_model` wrote and `write_folder` sealed.

    Raises:
        RunError: a file is missing or damaged.
        WeightsError: tensors do not fit.
    """
    folder = valid_folder(folder)
    pooling, tasks = read_settings(folder)
    loaded = _encoder_of(folder)
    model = MultiTaskModel(loaded.encoder, loaded.tokenizer, tasks, pooling, adapters=_read_adapters(folder))
    _take_parts(model, folder)
    model.calibration = read_calibration(folder)
    return model.eval()
