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
    from minbert.training.dry_run import dry_run
    from minbert.training.setup import set_up

    seconds, arms = seconds_by_arm(jobs), list(dict.fromkeys(job.arm for job in jobs))
    for number, arm in enumerate(arms, 1):
        if arm not in seconds:
            first = next(job for job in jobs if job.arm == arm)
            with console.status(f"arm {number} of {len(arms)}: reading, tokenizing, timing five steps of {arm} ..."):
                seconds[arm] = float(dry_run(set_up(first.recipe, given.data, given.device))["seconds"])
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
