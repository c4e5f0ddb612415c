"""`minbert predict`."""

from pathlib import Path
from typing import Annotated

import typer

from minbert.cli.errors import told


@told
def predict(
    run: Annotated[Path, typer.Argument(help="A finished run.")],
    task: Annotated[str, typer.Option(help="Which task; may be left out if there is one.")] = "",
    input_: Annotated[
        Path | None,
        typer.Option("--input", help="CSV, TSV or JSONL with the task's columns. Default: lines on standard input."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="CSV or JSONL to write. Default: lines on standard output.")
    ] = None,
    skip_bad: Annotated[
        Path | None, typer.Option(help="Write bad rows to this file (.jsonl) and go on without.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps, ...")] = "auto",
) -> None:
    """Predict for a file, or for lines on standard input (the two texts of a pair with a tab between).

    Example: minbert predict runs/mine --task topic --input april.csv --output answers.csv
    """
    import sys

    from minbert.errors import DataError
    from minbert.inference import load
    from minbert.inference.bulk import answers, from_file, from_lines, write_answers
    from minbert.training.scoring import the_task

    for other, what in ((input_, "--input"), (skip_bad, "--skip-bad")):
        if output and other and output.resolve() == other.resolve():
            raise DataError(f"{output}: expected another file for --output than for {what}; name a new one")
    model = load(run, device)
    name = the_task(model, task)
    spec = model.task(name)
    texts = from_file(input_, spec, skip_bad) if input_ else from_lines(sys.stdin, spec)
    count = write_answers(answers(model, name, texts), spec, output, sys.stdout)
    if output:
        typer.echo(f"wrote {count:,} answers to {output}", err=True)
