"""Arms: runs that differ in nothing but the seed. From run folders, or from the folder of an experiment."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from minbert.comparison.finished import FinishedRun, read_finished
from minbert.errors import RunError
from minbert.runs import EXPERIMENT, Run

SEED_FOLDER = re.compile(r"seed-\d+")


@dataclass(eq=False)
class Arm:
    """Runs of one recipe.

    Attributes:
        name: of the arm.
        runs: by seed, in the order of the seeds.
        missing: how many runs of it are not finished.
    """

    name: str
    runs: dict[int, FinishedRun] = field(default_factory=dict)
    missing: int = 0


def read_arms(folders: Sequence[Path]) -> list[Arm]:
    """The arms in the order in which they are named; the first one is the control.

    Args:
        folders: runs, experiments, or folders of an arm that hold `seed-0`, `seed-1`, ... Runs that are named one by
            one and differ only in their seed become one arm.

    Raises:
        RunError: a folder is none of these, a run is unfinished or damaged, or there are fewer than two arms; all
            faults at once.
    """
    arms: list[Arm] = []
    single: list[Arm] = []
    faults: list[str] = []
    for folder in dict.fromkeys(folders):
        try:
            if (folder / EXPERIMENT).is_file():
                arms += _experiment(folder)
            elif not Run(folder).begun and any(_seed_folders(folder)):
                arms.append(_arm(_name(folder), _seed_folders(folder)))
            else:
                arm = _joined(single, _named(folder))
                arms += [] if arm in arms else [arm]
        except RunError as fault:
            faults += fault.faults
    if not faults:
        faults = _too_few(arms)
    if faults:
        raise RunError(faults)
    _part_names(arms)
    return arms


def _experiment(folder: Path) -> list[Arm]:
    """The arms of an experiment, with what is not there yet counted."""
    found = Run(folder).read(EXPERIMENT)
    try:
        arms, seeds = list(found["arms"]), [int(seed) for seed in found["seeds"]]
    except (KeyError, TypeError, ValueError) as fault:
        path = folder / EXPERIMENT
        raise RunError(f"{path}: expected an experiment with arms and seeds, found none ({fault!r})") from None
    return [_arm(name, [folder / name / f"seed-{seed}" for seed in seeds]) for name in arms]


def _seed_folders(folder: Path) -> list[Path]:
    inside = [path for path in folder.glob("seed-*") if SEED_FOLDER.fullmatch(path.name)]
    return sorted(inside, key=lambda path: int(path.name.removeprefix("seed-")))


def _arm(name: str, folders: Sequence[Path]) -> Arm:
    """The finished ones of these runs.

    Raises:
        RunError: a run is damaged, or another one than the first but for the seed, or of a seed that there is already.
    """
    finished = [read_finished(folder) for folder in folders if Run(folder).finished]
    faults, runs = [], dict[int, FinishedRun]()
    for run in sorted(finished, key=lambda run: run.seed):
        if run.identity != finished[0].identity:
            faults.append(f"{run.folder}: expected what {finished[0].folder} is, but for the seed, found another run")
        elif run.seed in runs:
            faults.append(f"{run.folder}: expected another seed than {runs[run.seed].folder} has, found {run.seed}")
        runs.setdefault(run.seed, run)
    if faults:
        raise RunError(faults)
    return Arm(name, runs, len(folders) - len(finished))


def _named(folder: Path) -> FinishedRun:
    """A run that was named by itself, so it must have ended.

    Raises:
        RunError: there is no such folder, or it is no finished run.
    """
    if not folder.is_dir():
        raise RunError(f"{folder}: expected a run or an experiment, found no such folder")
    return read_finished(folder)


def _joined(single: list[Arm], run: FinishedRun) -> Arm:
    """The arm that a run joins: the first one of its recipe that has none of its seed, or a new one."""
    same = (arm for arm in single if run.identity == next(iter(arm.runs.values())).identity)
    arm = next((arm for arm in same if run.seed not in arm.runs), None)
    if arm is None:
        single.append(arm := Arm(_name(run.folder)))
    arm.runs[run.seed] = run
    return arm


def _name(folder: Path) -> str:
    """`pcgrad` for `runs/pcgrad/seed-3` and for `runs/pcgrad-seed-3`."""
    # Not resolved: a link has the name that it was given.
    folder = Path(os.path.abspath(folder))
    return folder.parent.name if SEED_FOLDER.fullmatch(folder.name) else re.sub(r"-seed-\d+\Z", "", folder.name)


def _too_few(arms: Sequence[Arm]) -> list[str]:
    """Why nothing can be compared; empty if something can."""
    ready = [arm for arm in arms if arm.runs]
    if len(ready) > 1 and arms[0].runs:
        return []
    missing = sum(arm.missing for arm in arms)
    runs = "1 run is" if missing == 1 else f"{missing} runs are"
    more = f"; {runs} not finished" if missing else "; name another run"
    if len(ready) > 1:
        return [f"arm {arms[0].name!r}: expected finished runs, found none, and the others are compared with it{more}"]
    found = (
        f"one, {ready[0].name!r} ({len(ready[0].runs)} seed{'s' if len(ready[0].runs) > 1 else ''})"
        if ready
        else "none"
    )
    return [f"expected two arms or more with finished runs, found {found}{more}"]


def _part_names(arms: Sequence[Arm]) -> None:
    """Gives arms of one name two."""
    names: dict[str, int] = {}
    for arm in arms:
        names[arm.name] = names.get(arm.name, 0) + 1
        if names[arm.name] > 1:
            arm.name = f"{arm.name} ({names[arm.name]})"
