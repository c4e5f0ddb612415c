"""`minbert ablate`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated

import typer

from minbert.cli.errors import told
from minbert.cli.train import DATA, DEVICE

if TYPE_CHECKING:
    from minbert.experiments import Attempt, Job
    from minbert.training import Listener


@told
def ablate(
    experiment: Annotated[Path, typer.Argument(help="A TOML file with base, seeds, [hold] and [arms].")],
    data: DATA = None,
    run: Annotated[Path | None, typer.Option(help="Where the runs go. Default: runs/<experiment>.")] = None,
    dry: Annotated[bool, typer.Option("--dry-run", help="Count the runs, time five steps of each arm.")] = False,
    status: Annotated[bool, typer.Option("--status", help="Show what is done, and stop.")] = False,
    retry: Annotated[bool, typer.Option("--retry", help="Do failed runs again.")] = False,
    device: DEVICE = "auto",
) -> None:
    """Run every arm of an experiment with every seed.

    Stop it when you like: the same command goes on. Several processes, on machines that share the folder too, share
    the work when given the same command.

    Example: minbert ablate surgery.toml --dry-run
    """
    from minbert.cli.screen import console
    from minbert.experiments import check_inputs, check_place, jobs_of, read_experiment, run_all, settle
    from minbert.training import Interrupted

    found = read_experiment(experiment)
    folder = run or Path("runs") / found.name
    check_place(found, folder)
    jobs = jobs_of(found, folder)
    if status:
        show_arms(jobs)
        return
    check_inputs(found.recipes.values(), data)
    if dry:
        show_plan(jobs, data, device)
        return
    settle(found, folder)
    failures = []
    try:
        for attempt in run_all(jobs, lambda job: heard(job, jobs), data, device=device, retry=retry):
            if attempt.failure:
                failures.append(attempt)
                console.print(f"{attempt.job.name} failed: {attempt.failure}", markup=False)
    except (Interrupted, KeyboardInterrupt):
        done = sum(job.state == "done" for job in jobs)
        raise Interrupted(f"stopped, {done} of {len(jobs)} runs done; the same command goes on") from None
    show_arms(jobs)
    console.print(f"the runs are in {folder}; more: minbert compare {folder}", markup=False)
    end(jobs, failures)


def end(jobs: "list[Job]", failures: "list[Attempt]") -> None:
    """Says what is not done and why; exit status 1 if a run has failed."""
    from minbert.cli.screen import console

    elsewhere = [job.name for job in jobs if job.state == "running"]
    if elsewhere:
        console.print(f"other processes work on {', '.join(elsewhere)}", markup=False)
    failed: dict[tuple[str, str], list[str]] = {}
    for job in jobs:
        if job.state == "failed":
            failed.setdefault((job.arm, job.failure), []).append(str(job.seed))
    for (arm, failure), seeds in failed.items():
        console.print(f"failed: {arm}, seed {', '.join(seeds)}: {failure}", markup=False)
    if failed:
        console.print("the same command with --retry does failed runs again")
    if failed or failures:
        raise typer.Exit(1)


@contextmanager
def heard(job: "Job", jobs: "list[Job]") -> "Iterator[Listener]":
    """Says which run of how many begins and how long all will take; then a bar."""
    from minbert.cli.screen import Bar, console, duration

    states = [other.state for other in jobs]
    ended = states.count("done") + states.count("failed")
    seconds = left_seconds([other for other in jobs if other.state not in ("done", "failed")], seconds_by_arm(jobs))
    left = f"; about {duration(seconds)} for all that is left" if seconds else ""
    console.print(f"{job.name} ({ended} of {len(jobs)} runs done{left})", markup=False)
    with Bar() as bar:
        yield bar


def seconds_by_arm(jobs: "list[Job]") -> dict[str, float]:
    """The mean time of the finished runs of each arm that has some."""
    found: dict[str, list[float]] = {}
    for job in jobs:
        if job.seconds is not None:
            found.setdefault(job.arm, []).append(job.seconds)
    return {arm: fmean(times) for arm, times in found.items()}


def left_seconds(left: "list[Job]", by_arm: dict[str, float]) -> float:
    """The time of some runs; an arm without a time is taken as the mean of the others."""
    return sum(by_arm.get(job.arm, fmean(by_arm.values())) for job in left) if by_arm else 0.0


def show_arms(jobs: "list[Job]") -> None:
    """Prints the raw mean of every run."""
    from minbert.cli.screen import console
    from minbert.reporting.arms import Cell, arms_table

    cells: dict[str, dict[int, Cell]] = {}
    for job in jobs:
        cells.setdefault(job.arm, {})[job.seed] = (job.state, job.raw)
    console.print(arms_table(cells))


def show_plan(jobs: "list[Job]", data: Path | None, device: str) -> None:
    """Prints how many runs there are, how many are left, and how long they take."""
    from minbert.cli.screen import console, duration
    from minbert.reporting.arms import plan_table
    from minbert.training.dry_run import dry_run
    from minbert.training.setup import set_up

    seconds, arms = seconds_by_arm(jobs), list(dict.fromkeys(job.arm for job in jobs))
    for number, arm in enumerate(arms, 1):
        if arm not in seconds:
            first = next(job for job in jobs if job.arm == arm)
            with console.status(f"arm {number} of {len(arms)}: reading, tokenizing, timing five steps of {arm} ..."):
                seconds[arm] = float(dry_run(set_up(first.recipe, data, device))["seconds"])
    rows = []
    for arm in arms:
        states = [job.state for job in jobs if job.arm == arm]
        done, failed = states.count("done"), states.count("failed")
        rows.append((arm, done, failed, len(states) - done - failed, duration(seconds[arm])))
    console.print(plan_table(rows))
    left = [job for job in jobs if job.state not in ("done", "failed")]
    done = sum(row[1] for row in rows)
    console.print(
        f"{len(jobs)} runs, {done} done; about {duration(left_seconds(left, seconds))} for the {len(left)} left "
        "(one process on this machine; floors and final tables apart)",
        markup=False,
    )
