"""The folder of an experiment.

```
runs/surgery/
  experiment.json     arms, seeds, what is held; digests of the recipes
  pcgrad/seed-0/      a run, as `minbert train` makes it
  pcgrad/seed-1/failed.json   why a run failed
```
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from minbert.errors import RunError
from minbert.experiments.claims import holder, latest
from minbert.experiments.experiment import Experiment
from minbert.recipe import Recipe
from minbert.runs import EXPERIMENT, Run, read_lines
from minbert.storage import write_text
from minbert.training.train import check_folder, same_recipe

FAILED = "failed.json"

State = Literal["done", "failed", "running", "begun", "new"]


@dataclass(frozen=True)
class Job:
    """One run of an experiment.

    Attributes:
        arm: its arm.
        seed: its seed.
        recipe: what is to be done.
        folder: the run's.
    """

    arm: str
    seed: int
    recipe: Recipe
    folder: Path

    @property
    def state(self) -> State:
        """How far it is; `begun`: nobody works on it, and it can go on."""
        run = Run(self.folder)
        if run.finished:
            return "done"
        last = latest(self.folder.parent, self.folder.name)
        if last and holder(last):
            return "running"
        return "failed" if (self.folder / FAILED).is_file() else "begun" if run.begun else "new"

    @property
    def name(self) -> str:
        """How it is spoken of."""
        return f"{self.arm}, seed {self.seed}"

    @property
    def raw(self) -> float | None:
        """The raw mean of dev; None if it is not finished, or some tasks are scored by embeddings or not at all."""
        run = Run(self.folder)
        result = run.read("result.json") if run.finished else {"tasks": {}}
        # A mean of heads and of embeddings is the score of nothing.
        ways = {task["scored_by"] for task in result["tasks"].values()}
        return result.get("raw") if len(ways) == 1 else None

    @property
    def failure(self) -> str:
        """Why it failed; empty if it did not."""
        run = Run(self.folder)
        return str(run.read(FAILED).get("message", "")) if (self.folder / FAILED).is_file() else ""

    @property
    def seconds(self) -> float | None:
        """What its epochs took; None if it is not finished."""
        lines = read_lines(self.folder / "times.jsonl") if Run(self.folder).finished else []
        return sum(float(line["seconds"]) for line in lines) if lines else None


def jobs_of(experiment: Experiment, folder: Path) -> list[Job]:
    """All runs: every arm with the first seed, then with the next, so that what is done so far is balanced."""
    return [
        Job(arm, seed, experiment.recipe(arm, seed), folder / arm / f"seed-{seed}")
        for seed in experiment.spec.seeds
        for arm in experiment.spec.arms
    ]


def check_jobs(jobs: Sequence[Job]) -> None:
    """Whether each folder is new, or holds this very run.

    Raises:
        RunError: names every folder that holds something else.
    """
    faults: list[str] = []
    for job in jobs:
        run = Run(job.folder)
        if run.begun and same_recipe(run, job.recipe):
            continue
        try:
            if run.begun or not (job.folder / FAILED).is_file():
                check_folder(run, job.recipe, resume=True)
        except RunError as fault:
            faults += fault.faults
    if faults:
        raise RunError(faults)


def check_place(experiment: Experiment, folder: Path) -> None:
    """Whether the folder is new or holds this experiment; arms and seeds may have been added since.

    Raises:
        RunError: it holds something else, or runs of arms that have changed or do not stand in the file any more.
    """
    record = folder / EXPERIMENT
    if record.is_file():
        faults = _conflicts(_read(record), experiment, folder)
        if faults:
            raise RunError(faults)
    elif folder.is_dir() and any(not path.name.startswith(".") for path in folder.iterdir()):
        raise RunError(f"{folder}: expected an empty or new folder, found other files; choose another --run")


def settle(experiment: Experiment, folder: Path) -> None:
    """Writes down what the experiment is, after `check_place`."""
    record, now = folder / EXPERIMENT, json.dumps(experiment.record(), indent=2) + "\n"
    if not record.is_file() or record.read_text(encoding="utf-8") != now:
        write_text(record, now)


def _read(record: Path) -> dict[str, Any]:
    """What `experiment.json` says."""
    try:
        found = json.loads(record.read_text(encoding="utf-8"))
        return {key: found[key] for key in ("name", "arms", "recipes_sha256")}
    except (ValueError, TypeError, KeyError) as fault:
        raise RunError(f"{record}: expected the record of an experiment, found another file ({fault})") from None


def _conflicts(old: dict[str, Any], experiment: Experiment, folder: Path) -> list[str]:
    """What stands in the folder and not, or not so, in the file."""
    new = experiment.record()
    faults = []
    if not set(old["arms"]) & set(new["arms"]):
        return [f"{folder}: holds another experiment ({old['name']}); choose another --run"]
    for arm, digest in old["recipes_sha256"].items():
        begun = sorted(path for path in (folder / arm).glob("seed-*") if Run(path).begun)
        if not begun:
            continue
        here = f"{folder / arm}: holds {len(begun)} run{'s' * (len(begun) > 1)}"
        if arm not in new["arms"]:
            faults.append(
                f"{here} of arm {arm!r}, which the experiment does not have any more; put it back, or remove them"
            )
        elif new["recipes_sha256"][arm] != digest:
            faults.append(
                f"{here} of arm {arm!r} as it was before its recipe changed; give the changed arm a new name, "
                "choose another --run, or remove them"
            )
        else:
            kept = {f"seed-{seed}" for seed in new["seeds"]}
            gone = [path.name.removeprefix("seed-") for path in begun if path.name not in kept]
            if gone:
                faults.append(f"{here}, of them seed {', '.join(gone)} not among `seeds`; put it back, or remove it")
    return faults
