"""`train`: a recipe in, a finished run out."""

import re
import tomllib
from pathlib import Path
from typing import Any

import minbert.distributed as distributed
from minbert.checkpoint import read_calibration
from minbert.encoder import choice, device_of, environment, keep_memory
from minbert.errors import RunError
from minbert.gradients import Merge
from minbert.recipe import Recipe, check_recipe
from minbert.recipe.toml import dotted
from minbert.runs import Run
from minbert.storage import write_text
from minbert.training.evaluator import evaluate, metrics
from minbert.training.floors import floors
from minbert.training.progress import Listener
from minbert.training.result import final
from minbert.training.setup import Setup, set_up
from minbert.training.start import FILE as START
from minbert.training.start import continued, read_start
from minbert.training.trainer import SNAPSHOT_SECONDS, Trainer

HALF = re.compile(r"\.run\.json\.\d+\.tmp")
"""The first file of a run, half written."""


def train(
    recipe: Recipe | str | Path,
    run: str | Path,
    data: str | Path | None = None,
    *,
    device: str = "auto",
    resume: bool = False,
    merge: Merge | None = None,
    listener: Listener | None = None,
    skip_bad: str | Path | None = None,
    with_floors: bool = True,
    floors_of: str | Path | None = None,
    snapshot_seconds: float = SNAPSHOT_SECONDS,
    start: str | Path | None = None,
) -> dict[str, Any]:
    """Trains what a recipe says, into a run folder.

    Args:
        recipe: what is to be done; or a TOML file, or the name of a recipe in the package.
        run: the folder; it must not hold another run.
        data: where the recipe's files are; None: its own folder, then MINBERT_DATA.
        device: `auto`, `cpu`, `cuda`, ...
        resume: go on with an unfinished run, to the weights and metrics that it would have had.
        merge: a merge of one's own, for every stage in place of the recipe's.
        listener: hears of the work.
        skip_bad: where rejected rows are written; None: a bad row is an error.
        with_floors: whether trivial and frozen-encoder floors are worked out first.
        floors_of: a run with the same tasks, encoder and seed, whose floors are taken over; None: they are worked out.
        snapshot_seconds: the least time between two snapshots, 0 or more.
        start: a finished run to go on from: its encoder, heads and tasks, and all settings that the recipe leaves
            unsaid; see `minbert.training.start.continued`.

    Returns:
        The final table, as in `result.json`.

    Raises:
        InputError: recipe, data, weights or run folder are wrong; nothing has been written.
        TrainingError: NaN or infinity; names task and step.
        StorageError: a write failed; the last checkpoint stands.
    """
    listener = listener or Listener()
    recipe = recipe if isinstance(recipe, Recipe) else Recipe.load(recipe)
    begun = read_start(Path(start)) if start else None
    if begun:
        recipe = continued(recipe, begun)
    if merge is not None:
        recipe = with_merge(recipe, merge)
    folder = Run(Path(run))
    keep_memory()
    with distributed.together(device_of(device)):
        check_folder(folder, recipe, resume)
        record = _record(folder)
        precision = record.get("environment", {}).get("precision", "")
        places = [Path(place) if place else None for place in (data, skip_bad)]
        setup = set_up(recipe, places[0], device, precision, places[1], begun)
        trainer = Trainer(setup, folder, listener, snapshot_seconds)
        # From here on the first process writes, so all must have looked.
        distributed.meet()
        with folder.locked():
            if not distributed.rank():
                _begin(folder, recipe, setup, resume, listener)
            return _run(trainer, with_floors, Run(Path(floors_of)) if floors_of else None)


def _begin(folder: Run, recipe: Recipe, setup: Setup, resume: bool, listener: Listener) -> None:
    """Writes down what the run is, or checks that it is still the same."""
    # While the data were read, another process may have been here.
    check_folder(folder, recipe, resume)
    record = _record(folder)
    if record:
        _compare(record, setup, listener)
    else:
        folder.write("run.json", setup.record())
        write_text(folder.folder / "recipe.toml", recipe.to_toml())


def _run(trainer: Trainer, with_floors: bool, alike: Run | None) -> dict[str, Any]:
    """The work itself, in a folder that is ours."""
    setup, folder, listener = trainer.setup, trainer.run, trainer.listener
    for line in (choice(setup.device, setup.precision, setup.model.encoder.config), *setup.remarks):
        listener.say(line)
    if distributed.first_says(with_floors and not (folder.folder / "floors.json").exists()):
        listener.doing("floors: the encoder as it was found")
        folder.write("floors.json", _floors_of(alike, setup) if alike else floors(setup, lambda work: None))
    if setup.start and distributed.first_says(not (folder.folder / START).exists()):
        listener.doing("scores before")
        # Not through the trainer's listener: the bar has not begun.
        # As the run itself answers; what is trained now begins without.
        setup.model.calibration = read_calibration(setup.start.checkpoint)
        before = metrics(evaluate(setup, "dev", trainer.trained, lambda work: None))
        setup.model.calibration = {}
        folder.write(START, {**setup.start.record(), "dev": {name: before[name] for name in setup.start.trained}})
    trainer.train()
    # All read the best checkpoint now, which the first process has written.
    distributed.meet()
    listener.doing("the final table")
    result = final(setup, folder, trainer.trained, trainer.place.best, trainer.best_scores, lambda work: None)
    folder.write("result.json", result)
    folder.tidy()
    return result


def _floors_of(alike: Run, setup: Setup) -> dict[str, Any]:
    """The floors of another run.

    Raises:
        RunError: it saw other data or weights.
    """
    record, now = alike.read("run.json"), setup.record()
    if _digests(record) != _digests(now) or record["encoder"]["sha256"] != now["encoder"]["sha256"]:
        raise RunError(f"the data files or the encoder's weights are not those of {alike.folder}: they have changed")
    return dict(alike.read("floors.json"))


def _record(folder: Run) -> dict[str, Any]:
    """What `run.json` says; empty where no run has begun."""
    begun = folder.begun and (folder.folder / "run.json").exists()
    return dict(folder.read("run.json")) if begun else {}


def with_merge(recipe: Recipe, merge: Merge) -> Recipe:
    """The recipe with another merge in every stage; checked as if it had stood there."""
    stages = {name: stage.model_copy(update={"merge": merge}) for name, stage in recipe.stages.items()}
    changed = recipe.model_copy(update={"stages": stages})
    faults = changed.faults()
    if faults:
        check_recipe({**changed.model_dump(), "stages": stages}, recipe.folder)
    return changed


def same_recipe(run: Run, recipe: Recipe) -> bool:
    """Whether the run that has begun here is of this recipe."""
    return (run.folder / "recipe.toml").read_text(encoding="utf-8") == recipe.to_toml()


SHOWN = 3
"""Settings that are told where two recipes differ."""


def _other_settings(run: Run, recipe: Recipe) -> list[str]:
    """In what the recipe of a run differs from this one."""
    text = (run.folder / "recipe.toml").read_text(encoding="utf-8")
    there, here = (dotted(tomllib.loads(toml)) for toml in (text, recipe.to_toml()))
    keys = [key for key in {**there, **here} if there.get(key) != here.get(key)]
    found = [f"{key}: {there.get(key, 'none')} there, {here.get(key, 'none')} here" for key in keys[:SHOWN]]
    return [*found, f"and {len(keys) - SHOWN} more"] if len(keys) > SHOWN else found


def check_folder(run: Run, recipe: Recipe, resume: bool) -> None:
    """Whether the run may be written here.

    Raises:
        RunError: it is finished, unfinished without `resume`, or of another recipe.
    """
    folder = run.folder
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder}: expected a folder for the run, found a file; choose another --run")
    if not run.begun:
        if (folder / "run.json").exists():
            return
        # What a kill at the very beginning leaves is no other file.
        if folder.is_dir() and any(path.name != ".lock" and not HALF.fullmatch(path.name) for path in folder.iterdir()):
            raise RunError(f"{folder}: expected an empty or new folder, found other files; choose another --run")
        return
    if not same_recipe(run, recipe):
        other = "; ".join(_other_settings(run, recipe))
        raise RunError(f"{folder}: holds a run of another recipe ({other}); choose another --run, or remove the folder")
    if run.finished:
        raise RunError(
            f"{folder}: this run is finished; see it with `minbert evaluate {folder}`, or choose another --run"
        )
    if not resume:
        raise RunError(f"{folder}: holds this run, unfinished; go on with --resume, or choose another --run")


def _compare(record: dict[str, Any], setup: Setup, listener: Listener) -> None:
    """Says what differs from when the run began: it then goes on, but not to the very same bytes.

    Raises:
        RunError: the data or the weights are others: that would be another run.
    """
    now = setup.record()
    if record["files"] != now["files"] and _digests(record) != _digests(now):
        raise RunError("the data files are not those with which the run began; choose another --run")
    if record["encoder"]["sha256"] != now["encoder"]["sha256"]:
        raise RunError("the encoder's weights are not those with which the run began; choose another --run")
    if record.get("teachers") != now.get("teachers"):
        raise RunError("the teachers are not those with which the run began; choose another --run")
    if record.get("start") != now.get("start"):
        raise RunError("the run that was gone on from is not the one with which this run began; choose another --run")
    used = [(record["encoder"].get(key), now["encoder"][key]) for key in ("pooling", "prompt")]
    if any(before != after for before, after in used):
        raise RunError("the encoder's folder asks for another pooling or prompt than when the run began; state them")
    present = environment(setup.device, setup.precision)
    other = [
        f"{key} {value} (was {record['environment'].get(key)})"
        for key, value in present.items()
        if value != record["environment"].get(key)
    ]
    if other:
        listener.say(f"resuming, but not exact: {', '.join(other)}")


def _digests(record: dict[str, Any]) -> list[str]:
    return [f["sha256"] for splits in record["files"].values() for files in splits.values() for f in files]
