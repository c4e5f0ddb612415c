"""What a run works with: rows, tokens, model, precision, device."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import minbert.distributed as distributed
from minbert.checkpoint import take_heads
from minbert.encoder import Loaded, Source, choose_precision, device_of, environment, load_folder, resolve
from minbert.errors import DataError, MinbertError
from minbert.model import MultiTaskModel
from minbert.recipe import Recipe
from minbert.storage import digest_of
from minbert.tasks import TaskData, load_task
from minbert.text.batches import Texts, texts_of
from minbert.training.start import Start, check_start
from minbert.training.teachers import Teachers, find_teachers, record_of


@dataclass(frozen=True)
class Setup:
    """Everything that a run reads, loaded and checked.

    Attributes:
        recipe: what is to be done.
        source: the encoder's files.
        model: the encoder as it was found, the heads fresh.
        data: the tasks' rows.
        texts: their ids, by task and split.
        device: where the work runs.
        precision: of the matrix products.
        remarks: what a reader should know of the load.
        extras: what of the encoder's files was left out.
        teachers: what the stages' tasks learn from besides their labels.
        start: the run that this one goes on from; None: it begins with fresh heads.
    """

    recipe: Recipe
    source: Source
    model: MultiTaskModel
    data: dict[str, TaskData]
    texts: dict[tuple[str, str], Texts]
    device: torch.device
    precision: torch.dtype
    remarks: tuple[str, ...]
    extras: tuple[str, ...]
    teachers: Teachers
    start: Start | None = None

    def record(self) -> dict[str, Any]:
        """What `run.json` says: what the result depends on besides the recipe."""
        files = {
            name: {
                split: [{"path": str(p.resolve()), "sha256": digest_of(p)} for p in paths]
                for split, paths in data.files.items()
            }
            for name, data in self.data.items()
        }
        rows = {name: {split: len(s) for split, s in data.splits.items()} for name, data in self.data.items()}
        return {
            "recipe_sha256": self.recipe.digest,
            "encoder": {
                "source": self.source.name,
                "sha256": self.source.digest,
                "note": self.source.note,
                "pooling": self.model.pooling,
                "prompt": self.model.tokenizer.prompt,
                "remarks": list(self.extras),
            },
            "environment": environment(self.device, self.precision),
            "methods": own_methods(self.recipe),
            "rows": rows,
            "files": files,
            **({"start": self.start.record()} if self.start else {}),
            **({"teachers": record_of(self.teachers)} if self.teachers else {}),
        }


def own_methods(recipe: Recipe) -> dict[str, str]:
    """Methods that were given from Python and are not minbert's: their class, by their place in the recipe."""
    found = {f"tasks.{name}.head": own for name, task in recipe.tasks.items() if (own := _own(task.head))}
    if own := ", ".join(filter(None, map(_own, recipe.encoder.adapters))):
        found["encoder.adapters"] = own
    for name, stage in recipe.stages.items():
        values = {
            "weighting": stage.weighting,
            "merge": stage.merge,
            "mixture": stage.mixture,
            "schedule": stage.schedule,
            "optimizer": stage.optimizer,
            "average": stage.average,
        }
        for key, value in values.items():
            if value is not None and (own := _own(value)):
                found[f"stages.{name}.{key}"] = own
        if own := ", ".join(filter(None, map(_own, stage.regularizers))):
            found[f"stages.{name}.regularizers"] = own
        for task, losses in stage.losses.items():
            if own := ", ".join(filter(None, map(_own, losses))):
                found[f"stages.{name}.losses.{task}"] = own
    return found


def _own(value: object) -> str:
    """The class of a value; empty if it is minbert's."""
    home = type(value).__module__
    return "" if home.startswith("minbert.") else f"{home}.{type(value).__qualname__}"


def finder(recipe: Recipe, data: Path | None) -> "Finder":
    """Where the files of a recipe are."""
    home = os.environ.get("MINBERT_DATA")
    return Finder([data] if data else [recipe.folder, *([Path(home)] if home else [])])


class Finder:
    """Looks for a named file in some folders, in order.

    Args:
        folders: `--data` alone, or else the recipe's folder and then MINBERT_DATA.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = folders

    def __call__(self, name: str) -> Path:
        """The file.

        Raises:
            DataError: it is in none of the folders.
        """
        for folder in self.folders:
            if (folder / name).is_file():
                return folder / name
        places = " or ".join(str(folder) for folder in self.folders)
        raise DataError(
            f"{name}: expected a file in {places}, found none; say where the data is with --data or MINBERT_DATA"
        )


def load_data(recipe: Recipe, data: Path | None = None, skip_bad: Path | None = None) -> dict[str, TaskData]:
    """Reads and splits the rows of all tasks.

    Raises:
        DataError: the faults of all tasks' files, at once.
    """
    find = finder(recipe, data)
    share = 0.0 if recipe.select.on == "dev" else float(recipe.select.on)
    loaded: dict[str, TaskData] = {}
    faults: list[str] = []
    for name, task in recipe.tasks.items():
        try:
            loaded[name] = load_task(name, task, find, recipe.seed, share, skip_bad, loaded.values())
        except DataError as fault:
            faults += fault.faults
    if faults:
        raise DataError(list(dict.fromkeys(faults)))
    return loaded


def set_up(
    recipe: Recipe,
    data: Path | None = None,
    device: str = "auto",
    precision: str = "",
    skip_bad: Path | None = None,
    start: Start | None = None,
) -> Setup:
    """Loads everything that a run reads. All faults of data and encoder come at once.

    Args:
        recipe: what is to be done.
        data: where its files are; None: its own folder, then MINBERT_DATA.
        device: `auto`, `cpu`, `cuda`, ...
        precision: overrides the recipe's (a resumed run keeps the one that it began with).
        skip_bad: where rejected rows go; None: a bad row is an error.
        start: the run that is gone on from, by which the recipe is continued; None: none.
    """
    faults: list[MinbertError] = []
    try:
        rows = load_data(recipe, data, skip_bad)
    except DataError as fault:
        faults.append(fault)
    try:
        found = load_encoder(recipe)
    except MinbertError as fault:
        faults.append(fault)
    if faults:
        lines = [line for fault in faults for line in getattr(fault, "faults", [str(fault)])]
        raise faults[0] if len(faults) == 1 else DataError(lines)
    return equip(recipe, rows, found, device, precision, start)


def load_encoder(recipe: Recipe) -> tuple[Source, Loaded]:
    """The files of a recipe's encoder, and what they hold."""
    spec = recipe.encoder
    source = resolve(spec.source, spec.digest, recipe.folder)
    return source, load_folder(source, spec.max_tokens, spec.dropout, recipe.seed, spec.pooling, spec.prompt)


def equip(
    recipe: Recipe,
    rows: dict[str, TaskData],
    encoder: tuple[Source, Loaded],
    device: str = "auto",
    precision: str = "",
    start: Start | None = None,
) -> Setup:
    """Puts rows and encoder together; arguments as for `set_up`."""
    source, loaded = encoder
    tasks = {name: data.task for name, data in rows.items()}
    teachers = find_teachers(recipe, tasks)
    adapters = recipe.encoder.adapters
    model = MultiTaskModel(
        loaded.encoder, loaded.tokenizer, tasks, loaded.pooling, recipe.seed, source.config, adapters
    )
    if start:
        take_heads(model, start.checkpoint, check_start(start, loaded.pooling, rows))
    place = device_of(device)
    kind = choose_precision(precision or recipe.precision, place)
    # Each process has timed it, and all must compute alike.
    kind = (torch.float32, torch.bfloat16)[distributed.first_says(kind == torch.bfloat16)]
    model.encoder.precision = kind
    texts = {
        (name, split): texts_of(part.columns, loaded.tokenizer)
        for name, data in rows.items()
        for split, part in data.splits.items()
    }
    # What a file holds beyond an encoder concerns nobody who trains; a pooler that starts fresh does, if it is used.
    fresh = [r for r in loaded.remarks if "pooler" in r and uses_pooler(recipe)]
    said = [f"encoder {source.name}: {r}" for r in [*fresh, *followed(recipe, source, loaded), *source.usage.remarks]]
    remarks = said + [f"{name}: {remark}" for name, data in rows.items() for remark in data.remarks]
    extras = (*loaded.remarks, *source.usage.remarks)
    return Setup(recipe, source, model.to(place), rows, texts, place, kind, tuple(remarks), extras, teachers, start)


def followed(recipe: Recipe, source: Source, loaded: Loaded) -> list[str]:
    """What of the encoder's own folder is followed because the recipe leaves it open, where it is not the usual."""
    found = []
    if recipe.encoder.pooling == "auto" and loaded.pooling != "mean":
        found.append(f"pooling {loaded.pooling!r}, as its folder says")
    if recipe.encoder.prompt == "auto" and loaded.tokenizer.prompt:
        found.append(f"{loaded.tokenizer.prompt!r} stands before every text, as its folder says")
    elif recipe.encoder.prompt == "auto" and source.usage.prompts:
        named = ", ".join(f"{text!r} ({name})" for name, text in source.usage.prompts.items())
        found.append(f"its folder has prompts, none of them by default: {named}; encoder.prompt sets one")
    return found


def uses_pooler(recipe: Recipe) -> bool:
    """Whether any head reads BERT's pooler."""
    return "pooler" in (recipe.encoder.pooling, *(task.head.pooling for task in recipe.tasks.values()))
