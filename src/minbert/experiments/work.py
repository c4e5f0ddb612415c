"""Doing the runs of an experiment, beside other processes that do the same."""

import json
import os
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from minbert.errors import MinbertError, RunError, StorageError
from minbert.experiments.claims import Claim, claimed
from minbert.experiments.folder import FAILED, Job
from minbert.experiments.hooks import Hooks
from minbert.experiments.inputs import Given
from minbert.recipe import Recipe
from minbert.runs import Run
from minbert.storage import write_text
from minbert.training import Interrupted, Listener, Several, train

Listen = Callable[[Job], AbstractContextManager[Listener]]
"""Gives a listener for a run."""


@dataclass(frozen=True)
class Attempt:
    """What became of a run.

    Attributes:
        job: the run.
        failure: why it failed; empty: it is finished.
    """

    job: Job
    failure: str = ""


class Taken(MinbertError):
    """Another process has taken over the run, because this one was silent for too long."""


def _guard(claim: Claim) -> None:
    """Ends a run whose claim is lost."""
    if claim.lost:
        raise Taken("another process has taken over this run: nothing was heard of this one for too long")


def run_all(jobs: Sequence[Job], listen: Listen, given: Given, *, retry: bool = False) -> Iterator[Attempt]:
    """Does the runs that nobody has done, one after the other, each when the next result is asked for.

    Several processes may do this with the same jobs: each run is done by one of them, and those of a process that died
    are taken over, from where they were.

    Args:
        jobs: the runs, in order.
        listen: gives the listener of a run.
        given: what each run is given besides.
        retry: do runs again that failed before; each once.

    Yields:
        What became of a run that this process did.

    Raises:
        Interrupted: Ctrl-C; the run in hand can go on.
        RunError: this is one of several processes of torchrun.
        StorageError: a write failed.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise RunError("expected one process, found several of torchrun; start this command several times instead")
    tried: set[Path] = set()
    while True:
        # From the start each time: a process that died meanwhile may have left something behind us.
        for job in jobs:
            if job.folder in tried or not _open(job, retry):
                continue
            with claimed(job.folder.parent, job.folder.name) as claim:
                # While the claim was made, another process may have ended its own.
                if claim and _open(job, retry):
                    tried.add(job.folder)
                    attempt = run_one(job, claim, listen, given, _alike(job, jobs))
                if claim:
                    claim.done = Run(job.folder).finished
            if job.folder in tried:
                break
        else:
            return
        yield attempt


def _open(job: Job, retry: bool) -> bool:
    """Whether a run is to be done, by whomever."""
    return not Run(job.folder).finished and (retry or not (job.folder / FAILED).is_file())


def run_one(job: Job, claim: Claim, listen: Listen, given: Given, alike: Path | None = None) -> Attempt:
    """Does one run under a claim, from where it is; a failure is written into its folder.

    Args:
        job: the run.
        claim: on it.
        listen: gives its listener.
        given: what it is given besides its recipe.
        alike: a run whose floors are the same.

    Raises:
        Interrupted: Ctrl-C.
        StorageError: a write failed.
    """
    (job.folder / FAILED).unlink(missing_ok=True)
    try:
        with listen(job) as listener:
            train(
                job.recipe,
                job.folder,
                given.data,
                device=given.device,
                resume=True,
                listener=Several(Hooks(on_advance=lambda: _guard(claim)), listener),
                skip_bad=given.skip_bad,
                floors_of=alike,
                start=given.start,
            )
    except (Interrupted, StorageError):
        raise
    except Taken as fault:
        return Attempt(job, str(fault))
    except Exception as fault:
        # Whatever it is, the other runs are worth having; a fault of the program itself is kept whole.
        own = isinstance(fault, MinbertError)
        failure = {"error": type(fault).__name__, "message": str(fault)}
        trace = {} if own else {"traceback": traceback.format_exc()}
        write_text(job.folder / FAILED, json.dumps({**failure, **trace}, indent=2) + "\n")
        return Attempt(job, str(fault) if own else f"{type(fault).__name__}: {fault}")
    return Attempt(job)


def _alike(job: Job, jobs: Sequence[Job]) -> Path | None:
    """A run with the same floors, already worked out."""
    same = (other.folder for other in jobs if other is not job and _seen(other.recipe) == _seen(job.recipe))
    return next((folder for folder in same if (folder / "floors.json").is_file()), None)


def _seen(recipe: Recipe) -> tuple[object, ...]:
    """All that floors depend on."""
    return recipe.seed, recipe.precision, recipe.encoder, recipe.tasks, recipe.select.on, recipe.folder
