"""`minbert evaluate`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from minbert.cli.errors import told


@told
def evaluate(
    run: Annotated[Path, typer.Argument(help="A finished run.")],
    task: Annotated[str, typer.Option(help="Which task, for --input; may be left out if there is one.")] = "",
    input_: Annotated[Path | None, typer.Option("--input", help="New labelled data, with the task's columns.")] = None,
    skip_bad: Annotated[
        Path | None, typer.Option(help="Write bad rows to this file (.jsonl) and go on without.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "auto",
) -> None:
    """Show the final table of a run, or score it on new labelled data.

    Example: minbert evaluate runs/mine --task topic --input march.csv
    """
    from minbert.cli.screen import console
    from minbert.cli.train import show_run
    from minbert.errors import RunError
    from minbert.inference import load
    from minbert.reporting.scores import score_tables
    from minbert.runs import Run
    from minbert.training.scoring import score_file, the_task

    if input_ is None:
        if task:
            raise RunError(f"--task {task}: expected --input with new labelled data, found none")
        if as_json:
            typer.echo(json.dumps(Run(run).read("result.json"), indent=2))
        else:
            show_run(run)
        return
    model = load(run, device)
    found = score_file(model, the_task(model, task), input_, skip_bad)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    for table in score_tables(found):
        console.print(table)
