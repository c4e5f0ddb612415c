"""`minbert train`."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from minbert.cli.errors import told

if TYPE_CHECKING:
    from minbert.recipe import Recipe

RECIPE = Annotated[str, typer.Argument(help="A recipe: a TOML file, or one in the package such as quick.")]
DATA = Annotated[
    Path | None, typer.Option(help="Folder of the data files. Default: the recipe's own, then MINBERT_DATA.")
]
DEVICE = Annotated[str, typer.Option(help="auto, cpu, cuda, ...")]


@told
def train(
    recipe: RECIPE,
    data: DATA = None,
    run: Annotated[Path | None, typer.Option(help="Where the run goes. Default: runs/<recipe>[-seed-k].")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="path=value, e.g. stages.train.lr=3e-5; repeatable.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an unfinished run.")] = False,
    dry: Annotated[bool, typer.Option("--dry-run", help="Look at the data, time five steps, write nothing.")] = False,
    skip_bad: Annotated[
        Path | None, typer.Option(help="Write bad rows to this file (.jsonl) and go on without.")
    ] = None,
    device: DEVICE = "auto",
) -> None:
    """Train what a recipe says, on all its tasks at once.

    Example: minbert train quick --data ~/data --dry-run
    """
    from minbert.cli.screen import Bar
    from minbert.recipe import load_recipe
    from minbert.training import train as run_training

    value = load_recipe(recipe, set_ or [])
    if dry:
        show_dry_run(value, data, device, skip_bad, recipe)
        return
    seeded = any(item.replace(" ", "").startswith("seed=") for item in set_ or [])
    name = Path(recipe).stem + (f"-seed-{value.seed}" if seeded else "")
    folder = run or Path("runs") / name
    if int(os.environ.get("RANK", "0")):
        # One of several processes that torchrun started: the first one speaks for all.
        run_training(value, folder, data, device=device, resume=resume, skip_bad=skip_bad)
        return
    with Bar() as bar:
        run_training(value, folder, data, device=device, resume=resume, listener=bar, skip_bad=skip_bad)
    show_run(folder)


def show_dry_run(recipe: "Recipe", data: Path | None, device: str, skip_bad: Path | None, name: str) -> None:
    """Prints what a run would read and do, what is wrong with its data, and how long it would take."""
    from minbert.audit import KINDS, Reading, check
    from minbert.cli.screen import console, duration
    from minbert.reporting.audit_tables import short_audit
    from minbert.reporting.tables import dry_tables, selection
    from minbert.training.dry_run import dry_run
    from minbert.training.setup import set_up

    with console.status("reading, looking for leaks, timing five steps ..."):
        setup = set_up(recipe, data, device, skip_bad=skip_bad)
        audit = check(Reading(setup.data)).report()
        found = dry_run(setup)
    leaks, said = short_audit(audit, KINDS)
    for table in leaks:
        console.print(table)
    console.print(f"{said}; row by row: minbert data check {name}", markup=False)
    for table in dry_tables(found):
        console.print(table)
    for warning in found["warnings"]:
        console.print(f"note: {warning}", markup=False)
    console.print(f"the epoch will be selected on {selection(recipe.select.on)}")
    machine = f"{found['device']}, {found['precision']}, {found['threads']} threads"
    console.print(f"about {duration(found['seconds'])} on this machine ({machine}), floors and the final table apart")


def show_run(folder: Path) -> None:
    """Prints the final table of a run, its forgetting matrix if it has one, and what to do next."""
    from minbert.cli.screen import console
    from minbert.reporting.tables import LEGEND, forgetting_table, result_notes, result_table
    from minbert.runs import Run, read_lines
    from minbert.training.forgetting import forgetting, worst_drops

    run = Run(folder)
    result = run.read("result.json")
    console.print(result_table(result))
    console.print(LEGEND, style="dim")
    for line in result_notes(result):
        console.print(line, markup=False)
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
