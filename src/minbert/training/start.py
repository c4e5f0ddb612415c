"""A run that goes on from another: from its encoder and heads, with its tasks and their data."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from minbert.checkpoint import read_settings
from minbert.encoder import Pooling
from minbert.errors import RecipeError
from minbert.inference import checkpoint_of
from minbert.recipe import EncoderSpec, Recipe, Stage, load_recipe
from minbert.runs import Run
from minbert.storage import MANIFEST, digest_of, valid_folder
from minbert.tasks import Task, TaskData
from minbert.training.teachers import differences
from minbert.values import Value

V = TypeVar("V", bound=Value)

FILE = "start.json"
"""In a run's folder: the scores of the run that it began from."""


@dataclass(frozen=True)
class Start:
    """A finished run that another one goes on from.

    Attributes:
        folder: the run.
        checkpoint: its best.
        digest: SHA-256 that stands for all of the checkpoint.
        recipe: what it did, with its data files where they were found.
        tasks: with their classes.
        pooling: of its heads that name none.
        trained: the tasks whose head it has trained.
        data: digests of each task's data files, by split.
        note: what the encoder's own training saw of the usual test sets.
    """

    folder: Path
    checkpoint: Path
    digest: str
    recipe: Recipe
    tasks: dict[str, Task]
    pooling: Pooling
    trained: tuple[str, ...]
    data: dict[str, dict[str, list[str]]]
    note: str

    def record(self) -> dict[str, str]:
        """What `run.json` says."""
        return {"run": str(self.folder), "sha256": self.digest}


def read_start(folder: Path) -> Start:
    """Opens a run to go on from.

    Raises:
        RunError: it is no finished run, or damaged.
        RecipeError: it was trained with methods that are not minbert's.
    """
    run = Run(folder.resolve())
    result, record = run.read("result.json"), run.read("run.json")
    checkpoint = valid_folder(checkpoint_of(run.folder))
    pooling, tasks = read_settings(checkpoint)
    trained = tuple(name for name, task in result["tasks"].items() if task["scored_by"] == "head")
    data = {
        name: {split: [file["sha256"] for file in files] for split, files in splits.items()}
        for name, splits in record["files"].items()
    }
    recipe = _placed(load_recipe(run.folder / "recipe.toml"), record)
    digest = digest_of(checkpoint / MANIFEST)
    return Start(run.folder, checkpoint, digest, recipe, tasks, pooling, trained, data, result["note"])


def _placed(recipe: Recipe, record: dict[str, Any]) -> Recipe:
    """The recipe with files and teachers where the run found them; a file that is gone keeps its name."""
    tasks = {}
    for name, task in recipe.tasks.items():
        places = {
            split: tuple(
                file["path"] if Path(file["path"]).is_file() else word
                for file, word in zip(files, task.files[split], strict=True)
            )
            for split, files in record["files"][name].items()
        }
        tasks[name] = task.model_copy(update=places)
    stages = {}
    for name, stage in recipe.stages.items():
        found = {task: said["path"] for task, said in record.get("teachers", {}).get(name, {}).items()}
        stages[name] = stage.model_copy(update={"teachers": {**stage.teachers, **found}})
    return recipe.model_copy(update={"tasks": tasks, "stages": stages})


def continued(recipe: Recipe, start: Start) -> Recipe:
    """A recipe with all that it leaves unsaid as in the run that it goes on from.

    Tasks of that run that the recipe does not name are trained along. Stages that the recipe names are the only ones;
    what such a stage leaves unsaid is as in the run's stage of that name. To continue twice is to continue once.

    Raises:
        RecipeError: another encoder; dev rows that the run has learned; a new task that no stage trains.
    """
    old, said = start.recipe, recipe.model_fields_set
    stages = old.stages
    if "stages" in said:
        stages = {name: _over(old.stages.get(name, Stage()), stage) for name, stage in recipe.stages.items()}
    encoder = _over(old.encoder, recipe.encoder).model_copy(update={"source": str(start.folder), "digest": ""})
    update = {
        "seed": recipe.seed if "seed" in said else old.seed,
        "precision": recipe.precision if "precision" in said else old.precision,
        "encoder": encoder,
        "tasks": {**old.tasks, **recipe.tasks},
        "stages": stages,
        "select": _over(old.select, recipe.select),
    }
    whole = recipe.model_copy(update=update)
    faults = [*_encoder_faults(recipe.encoder, recipe.folder, start), *_row_faults(whole, start)]
    for name in whole.tasks.keys() - old.tasks.keys():
        if stages and all(name not in stage.trained(whole.tasks) for stage in stages.values()):
            listed = ", ".join(f"stages.{stage}.tasks" for stage in stages)
            faults.append(f"tasks.{name}: expected a stage that trains it, found none; add it to one of {listed}")
    if faults:
        raise RecipeError(faults)
    return whole


def _over(old: V, new: V) -> V:
    """A value with the keys that a newer one sets; tables are laid on each other."""
    update = {}
    for key in new.model_fields_set:
        before, after = getattr(old, key), getattr(new, key)
        update[key] = {**before, **after} if isinstance(before, dict) and isinstance(after, dict) else after
    return old.model_copy(update=update)


def _encoder_faults(given: EncoderSpec, base: Path, start: Start) -> list[str]:
    known = "source" not in given.model_fields_set or given.source == start.recipe.encoder.source
    if known or (base / given.source).resolve() == start.folder:
        return []
    return [
        f"encoder.source: expected none beside --from, or that of {start.folder} ({start.recipe.encoder.source}), "
        f"found {given.source!r}; leave it out"
    ]


def _row_faults(whole: Recipe, start: Start) -> list[str]:
    """Settings by which rows that the run has trained on would be held out."""
    old, faults = start.recipe, []
    shares = [name for name in old.tasks if isinstance(whole.tasks[name].dev, float)]
    if whole.seed != old.seed and (shares or whole.select.on != "dev"):
        held = f"task {shares[0]!r} holds out dev" if shares else "select.on holds out rows"
        faults.append(
            f"seed: expected {old.seed} as in {start.folder}, because {held} by it, found {whole.seed}; "
            "rows that the run has learned would be scored"
        )
    if whole.select.on not in ("dev", old.select.on):
        faults.append(
            f"select.on: expected 'dev' or {old.select.on!r} as in {start.folder}, found {whole.select.on!r}; "
            "rows that the run has learned would be held out"
        )
    for name in shares:
        if whole.tasks[name].dev != old.tasks[name].dev:
            faults.append(
                f"tasks.{name}.dev: expected {old.tasks[name].dev!r} as in {start.folder}, or a file, found "
                f"{whole.tasks[name].dev!r}; rows that the run has learned would be scored"
            )
    return faults


def check_start(start: Start, pooling: Pooling, rows: dict[str, TaskData]) -> list[str]:
    """Checks that the heads of the tasks that both have can go on, and that dev holds no row that the run has learned.

    Args:
        start: the run that is gone on from.
        pooling: of the new run's heads that name none.
        rows: of its tasks, with their classes.

    Returns:
        The tasks that both have.

    Raises:
        RecipeError: every task that differs, and how.
    """
    faults = []
    for name, before in start.tasks.items():
        now = rows[name].task
        wrong = differences(before, now)
        ours, theirs = now.head.model_dump(exclude={"dropout"}), before.head.model_dump(exclude={"dropout"})
        pooled = now.head.pooling or pooling, before.head.pooling or start.pooling
        if ours != theirs:
            wrong.append(f"expected the head {_said(theirs)}, found {_said(ours)}")
        elif pooled[0] != pooled[1]:
            wrong.append(f"expected pooling {pooled[1]!r}, found {pooled[0]!r}")
        if isinstance(now.dev, float) and list(map(digest_of, rows[name].files["train"])) != start.data[name]["train"]:
            wrong.append("expected the train files of which that run held out dev, found others; name a file for dev")
        faults += [f"tasks.{name}, which is also a task of {start.folder}: {line}" for line in wrong]
    if faults:
        raise RecipeError([*faults, "give it another name, or leave it as it was"])
    return list(start.tasks)


def _said(head: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in head.items() if value is not None)
