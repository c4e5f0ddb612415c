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
    split: Annotated[str, typer.Option(help="test: score the recipe's test files.")] = "",
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
    from minbert.reporting.tables import selections
    from minbert.runs import Run
    from minbert.training.scoring import score_file, test_files, the_task

    if split not in ("", "test"):
        raise RunError(f"--split {split}: expected test (train and dev stand in the final table)")
    if input_ is None and not split:
        if task:
            raise RunError(f"--task {task}: expected --input with new labelled data, found none")
        if as_json:
            typer.echo(json.dumps(Run(run).read("result.json"), indent=2))
        else:
            show_run(run)
        return
    model = load(run, device)
    files = [(the_task(model, task), input_)] if input_ else test_files(Run(run).read("run.json"), task)
    found = [score_file(model, name, file, skip_bad) for name, file in files]
    if as_json:
        typer.echo(json.dumps(found if split else found[0], indent=2))
        return
    for table in (table for scores in found for table in score_tables(scores)):
        console.print(table)
    if Run(run).finished:
        console.print(f"the run: {selections([Run(run).read('result.json')])}")
