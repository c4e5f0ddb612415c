"""`minbert ablate`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from minbert.cli.errors import told
from minbert.cli.jobs import do_jobs, end, left_seconds, seconds_by_arm
from minbert.cli.train import DATA, DEVICE

if TYPE_CHECKING:
    from minbert.experiments import Given, Job


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
    from minbert.experiments import Given, check_inputs, check_jobs, check_place, jobs_of, read_experiment, settle

    found = read_experiment(experiment)
    folder = run or Path("runs") / found.name
    check_place(found, folder)
    jobs = jobs_of(found, folder)
    check_jobs(jobs)
    if status:
        show_arms(jobs)
        return
    given = Given(data, device)
    check_inputs(found.recipes.values(), given)
    if dry:
        show_plan(jobs, given)
        return
    settle(found, folder)
    failures = do_jobs(jobs, given, retry)
    show_arms(jobs)
    console.print(f"the runs are in {folder}; more: minbert compare {folder}", markup=False)
    end(jobs, failures, "the same command with --retry")


def show_arms(jobs: "list[Job]") -> None:
    """Prints the raw mean of every run."""
    from minbert.cli.screen import console
    from minbert.reporting.arms import Cell, arms_table

    cells: dict[str, dict[int, Cell]] = {}
    for job in jobs:
        cells.setdefault(job.arm, {})[job.seed] = (job.state, job.raw)
    console.print(arms_table(cells))


def show_plan(jobs: "list[Job]", given: "Given") -> None:
    """Prints how many runs there are, how many are left, and how long they take."""
    from minbert.cli.screen import console, duration
    from minbert.reporting.arms import plan_table

    seconds = seconds_by_arm(jobs)
    time_arms([job for job in jobs if job.arm not in seconds], given, seconds)
    rows = []
    for arm in dict.fromkeys(job.arm for job in jobs):
        states = [job.state for job in jobs if job.arm == arm]
        done, failed = states.count("done"), states.count("failed")
        took = duration(seconds[arm]) if arm in seconds else "-"
        rows.append((arm, done, failed, len(states) - done - failed, took))
    console.print(plan_table(rows))
    left = [job for job in jobs if job.state not in ("done", "failed")]
    console.print(
        f"{len(jobs)} runs, {sum(row[1] for row in rows)} done; about {duration(left_seconds(left, seconds))} for the "
        f"{len(left)} left (one process on this machine; floors and final tables apart)",
        markup=False,
    )


def time_arms(jobs: "list[Job]", given: "Given", seconds: dict[str, float]) -> None:
    """Times five steps of the first run of each arm; an arm that fails in them is named, and has no time.

    Raises:
        DataError: the faults of all arms' data, at once.
    """
    from minbert.cli.screen import console
    from minbert.errors import DataError, InputError, TrainingError
    from minbert.training.dry_run import dry_run
    from minbert.training.setup import set_up

    arms = {job.arm: job for job in reversed(jobs)}
    faults: dict[str, None] = {}
    for number, (arm, job) in enumerate(reversed(arms.items()), 1):
        with console.status(f"arm {number} of {len(arms)}: reading, tokenizing, timing five steps of {arm} ..."):
            try:
                seconds[arm] = float(dry_run(set_up(job.recipe, given.data, given.device))["seconds"])
            except InputError as fault:
                faults.update(dict.fromkeys(fault.faults))
            except TrainingError as fault:
                console.print(f"arm {arm}: {fault}", markup=False)
    if faults:
        raise DataError(list(faults))
