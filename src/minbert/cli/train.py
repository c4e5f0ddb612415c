"""`minbert train`."""

import os
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from minbert.cli.errors import told
from minbert.cli.jobs import do_jobs, end, going_on

if TYPE_CHECKING:
    from minbert.experiments import Given
    from minbert.recipe import Recipe
    from minbert.training import Listener

RECIPE = Annotated[str, typer.Argument(help="A recipe: a TOML file, or one in the package such as quick.")]
DATA = Annotated[
    Path | None, typer.Option(help="Folder of the data files. Default: the recipe's own, then MINBERT_DATA.")
]
DEVICE = Annotated[str, typer.Option(help="auto, cpu, cuda, mps, ...")]
SET = Annotated[list[str] | None, typer.Option("--set", help="path=value, e.g. stages.train.lr=3e-5; repeatable.")]
SKIP_BAD = Annotated[
    Path | None,
    typer.Option(help="Go on without bad rows; write them to NAME-TASK-FILE.jsonl.", metavar="NAME.jsonl"),
]
FROM = Annotated[
    Path | None,
    typer.Option("--from", help="Go on from this run: its weights, its tasks, and what the recipe leaves unsaid."),
]
TENSORBOARD = Annotated[bool, typer.Option("--tensorboard", help="Write losses, rates and scores to RUN/tensorboard.")]


@told
def train(
    recipe: RECIPE,
    data: DATA = None,
    run: Annotated[Path | None, typer.Option(help="Where the run goes. Default: runs/<recipe>[-seed-k].")] = None,
    set_: SET = None,
    seeds: Annotated[
        str, typer.Option(help="Train with each, e.g. 0-4 or 0,2,5; the same command goes on, and skips what is done.")
    ] = "",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an unfinished run.")] = False,
    dry: Annotated[bool, typer.Option("--dry-run", help="Look at the data, time five steps, write nothing.")] = False,
    skip_bad: SKIP_BAD = None,
    from_: FROM = None,
    tensorboard: TENSORBOARD = False,
    device: DEVICE = "auto",
) -> None:
    """Train what a recipe says, on all its tasks at once.

    Example: minbert train quick --data ~/data --dry-run
    """
    from minbert.errors import RecipeError
    from minbert.experiments import Given
    from minbert.training.tensorboard import check_tensorboard

    if tensorboard:
        check_tensorboard()
    value = asked_recipe(recipe, set_, from_)
    given = Given(data, device, skip_bad, from_, tensorboard)
    seeded = any(item.replace(" ", "").startswith("seed=") for item in set_ or [])
    if seeds:
        if seeded:
            raise RecipeError("--set seed=...: expected no seed beside --seeds, found one; leave one of them out")
        train_seeds(value, seeds, run or Path("runs") / Path(recipe).stem, given, recipe, dry)
        return
    if dry:
        show_dry_run(value, given, recipe)
        return
    name = Path(recipe).stem + (f"-seed-{value.seed}" if seeded else "")
    train_one(value, run or Path("runs") / name, given, resume)


def asked_recipe(name: str, sets: list[str] | None, start: Path | None) -> "Recipe":
    """The recipe of a name, with `--set` laid on it and what it leaves unsaid as in the run that it goes on from."""
    from minbert.recipe import load_recipe
    from minbert.training import continued, read_start

    return load_recipe(name, sets or [], partial(continued, start=read_start(start)) if start else None)


def train_one(recipe: "Recipe", folder: Path, given: "Given", resume: bool) -> None:
    """Trains a recipe into a folder and prints the final table."""
    from minbert.cli.screen import Bar
    from minbert.training import Listener, Several
    from minbert.training import train as run_training
    from minbert.training.tensorboard import TensorBoard

    def work(listener: "Listener | None") -> None:
        data, device, skip_bad, start = given.data, given.device, given.skip_bad, given.start
        run_training(
            recipe, folder, data, device=device, resume=resume, listener=listener, skip_bad=skip_bad, start=start
        )

    if int(os.environ.get("RANK", "0")):
        # One of several processes that torchrun started: the first one speaks for all.
        work(None)
        return
    board = TensorBoard(folder) if given.tensorboard else nullcontext(Listener())
    with going_on(folder, "the same command and --resume"), Bar() as bar, board as heard:
        work(Several(heard, bar))
    show_run(folder)


def train_seeds(recipe: "Recipe", text: str, stem: Path, given: "Given", name: str, dry: bool) -> None:
    """Trains a recipe with several seeds, each in a folder of its own, and prints mean and deviation."""
    from minbert.cli.screen import console
    from minbert.errors import RecipeError
    from minbert.experiments import Job, check_jobs, parse_seeds
    from minbert.reporting.arms import seeds_table
    from minbert.runs import Run
    from minbert.training import continued, read_start

    try:
        seeds = parse_seeds(text)
    except ValueError as fault:
        raise RecipeError(f"--seeds {text}: {fault}") from None
    folders = {seed: stem.with_name(f"{stem.name}-seed-{seed}") for seed in seeds}
    jobs = [Job(stem.name, k, recipe.model_copy(update={"seed": k}), folder) for k, folder in folders.items()]
    if given.start:
        # Some recipes can only go on with the run's own seed: that is said before the first one is trained.
        start = read_start(given.start)
        for job in jobs:
            continued(job.recipe, start)
    check_jobs(jobs)
    if dry:
        show_dry_run(jobs[0].recipe, given, name)
        console.print(f"that is one of {len(jobs)} runs, {sum(job.state == 'done' for job in jobs)} done")
        return
    failures = do_jobs(jobs, given, retry=True)
    results = {job.seed: Run(job.folder).read("result.json") for job in jobs if job.state == "done"}
    if results:
        console.print(seeds_table(results))
    console.print(f"the runs are in {stem}-seed-*; one of them: minbert evaluate {jobs[0].folder}", markup=False)
    end(jobs, failures, "the same command")


def show_dry_run(recipe: "Recipe", given: "Given", name: str) -> None:
    """Prints what a run would read and do, what is wrong with its data, and how long it would take."""
    from minbert.audit import KINDS, Reading, check
    from minbert.cli.screen import console, duration
    from minbert.reporting.audit_tables import short_audit
    from minbert.reporting.tables import dry_tables, selection
    from minbert.training import read_start
    from minbert.training.dry_run import dry_run
    from minbert.training.setup import set_up

    with console.status("reading, looking for leaks, timing five steps ..."):
        start = read_start(given.start) if given.start else None
        setup = set_up(recipe, given.data, given.device, skip_bad=given.skip_bad, start=start)
        audit = check(Reading(setup.data)).report()
        found = dry_run(setup)
    leaks, said = short_audit(audit, KINDS)
    for table in leaks:
        console.print(table)
    begun = f" --from {given.start}" if given.start else ""
    console.print(f"{said}; row by row: minbert data check {name}{begun}", markup=False)
    for table in dry_tables(found):
        console.print(table)
    for warning in found["warnings"]:
        console.print(f"note: {warning}", markup=False)
    console.print(f"the epoch will be selected on {selection(recipe.select.on)}")
    console.print(found["choice"], markup=False)
    console.print(f"about {duration(found['seconds'])}, floors and the final table apart")


def show_run(folder: Path) -> None:
    """Prints the final table of a run, its forgetting matrix if it has one, and what to do next."""
    from minbert.cli.screen import console
    from minbert.reporting.tables import LEGEND, forgetting_table, result_notes, result_table, start_table
    from minbert.runs import Run, read_lines
    from minbert.training.forgetting import forgetting, worst_drops

    run = Run(folder)
    result = run.read("result.json")
    console.print(result_table(result))
    console.print(LEGEND, style="dim")
    for line in result_notes(result):
        console.print(line, markup=False)
    if "start" in result:
        console.print(start_table(result))
        console.print(f"it went on from {result['start']['run']}", markup=False)
    metrics = {name: task["metric"] for name, task in result["tasks"].items()}
    rows = forgetting(read_lines(folder / "metrics.jsonl"), metrics)
    if rows:
        console.print(forgetting_table(rows, list(metrics)))
        for task, (change, other) in worst_drops(rows).items():
            console.print(f"{task} fell by {-change:.3f} while {other} was trained")
    times = read_lines(folder / "times.jsonl")
    if times:
        seconds = sum(line["seconds"] for line in times)
        console.print(
            f"epochs took {seconds:,.0f} s; peak memory {max(line['peak_memory_mib'] for line in times):,} MiB"
        )
    console.print(f"the run is in {folder}", markup=False)
    first = next(iter(metrics))
    console.print(f"next: minbert predict {folder} --task {first}   (one text a line on standard input)", markup=False)
