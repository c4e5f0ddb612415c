"""What the commands show of several runs."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from statistics import fmean
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from pathlib import Path

    from minbert.experiments import Attempt, Given, Job
    from minbert.training import Listener


@contextmanager
def going_on(folder: "Path", how: str) -> Iterator[None]:
    """Says after Ctrl-C with which command a run goes on, if it has begun."""
    from minbert.runs import Run
    from minbert.training import Interrupted

    try:
        yield
    except (Interrupted, KeyboardInterrupt):
        if not Run(folder).begun:
            raise
        raise Interrupted(f"stopped; the run in {folder} goes on with {how}") from None


def do_jobs(jobs: "list[Job]", given: "Given", retry: bool) -> "list[Attempt]":
    """Does the runs that are left; returns those that failed.

    Raises:
        Interrupted: Ctrl-C.
    """
    from minbert.cli.screen import console
    from minbert.experiments import run_all
    from minbert.training import Interrupted

    failures = []
    try:
        for attempt in run_all(jobs, lambda job: heard(job, jobs, given.tensorboard), given, retry=retry):
            if attempt.failure:
                failures.append(attempt)
                console.print(f"failed: {attempt.failure}", markup=False)
    except (Interrupted, KeyboardInterrupt):
        done = sum(job.state == "done" for job in jobs)
        raise Interrupted(f"stopped, {done} of {len(jobs)} runs done; the same command goes on") from None
    return failures


def end(jobs: "list[Job]", failures: "list[Attempt]", remedy: str) -> None:
    """Says what is not done and why, and which command does failed runs again; exit status 1 if a run has failed."""
    from minbert.cli.screen import console

    elsewhere = [job.name for job in jobs if job.state == "running"]
    if elsewhere:
        console.print(f"other processes work on {', '.join(elsewhere)}", markup=False)
    failed: dict[str, list[Job]] = {}
    for job in jobs:
        if job.state == "failed":
            failed.setdefault(job.arm, []).append(job)
    for arm, runs in failed.items():
        seeds = ", ".join(str(job.seed) for job in runs)
        console.print(f"failed: {arm}, seed {seeds}: {runs[0].failure}", markup=False)
    if failed:
        console.print(f"{remedy} does failed runs again")
    if failed or failures:
        raise typer.Exit(1)


@contextmanager
def heard(job: "Job", jobs: "list[Job]", tensorboard: bool = False) -> "Iterator[Listener]":
    """Says which run of how many begins and how long all will take; then a bar."""
    from minbert.cli.screen import Bar, console, duration
    from minbert.training import Listener, Several
    from minbert.training.tensorboard import TensorBoard

    done = sum(other.state == "done" for other in jobs)
    seconds = left_seconds([other for other in jobs if other.state not in ("done", "failed")], seconds_by_arm(jobs))
    left = f"; about {duration(seconds)} for all that is left" if seconds else ""
    console.print(f"{job.name} ({done} of {len(jobs)} runs done{left})", markup=False)
    with Bar() as bar, TensorBoard(job.folder) if tensorboard else nullcontext(Listener()) as board:
        yield Several(board, bar)


def seconds_by_arm(jobs: "list[Job]") -> dict[str, float]:
    """The mean time of the finished runs of each arm that has some."""
    found: dict[str, list[float]] = {}
    for job in jobs:
        if job.seconds is not None:
            found.setdefault(job.arm, []).append(job.seconds)
    return {arm: fmean(times) for arm, times in found.items()}


def left_seconds(left: "list[Job]", by_arm: dict[str, float]) -> float:
    """The time of some runs; an arm without a time is taken as the mean of the others."""
    return sum((by_arm.get(job.arm, fmean(by_arm.values())) for job in left), 0.0) if by_arm else 0.0
