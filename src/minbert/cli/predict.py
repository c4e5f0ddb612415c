"""`minbert predict`."""

from pathlib import Path
from typing import Annotated

import typer

from minbert.cli.errors import told
from minbert.cli.train import DEVICE

INPUT = Annotated[
    Path | None,
    typer.Option("--input", help="CSV, TSV or JSONL with the task's columns. Default: lines on standard input."),
]
OUTPUT = Annotated[Path | None, typer.Option(help="CSV, TSV or JSONL to write. Default: lines on standard output.")]
SKIP_BAD = Annotated[Path | None, typer.Option(help="Write bad rows to this file (.jsonl) and go on without.")]
KEEP = Annotated[
    list[str] | None, typer.Option(help="Another column of --input to go along, an id for example; repeatable.")
]
EVERY = Annotated[bool, typer.Option("--all", help="The probability of every class, not of the label alone.")]


@told
def predict(
    run: Annotated[Path, typer.Argument(help="A finished run.")],
    task: Annotated[str, typer.Option(help="Which task; may be left out if there is one.")] = "",
    input_: INPUT = None,
    output: OUTPUT = None,
    skip_bad: SKIP_BAD = None,
    keep: KEEP = None,
    every: EVERY = False,
    device: DEVICE = "auto",
) -> None:
    """Predict for a file, or for lines on standard input (the two texts of a pair with a tab between).

    Example: minbert predict runs/mine --task topic --input april.csv --output answers.csv --keep id
    """
    import sys

    from minbert.errors import DataError
    from minbert.inference import load
    from minbert.inference.bulk import PIPE, answers, check_output, from_file, from_lines, write_answers
    from minbert.text.readers import sifted
    from minbert.training.scoring import the_task

    for other, what in ((input_, "--input"), (skip_bad, "--skip-bad")):
        if output and other and output.resolve() == other.resolve():
            raise DataError(f"{output}: expected another file for --output than for {what}; name a new one")
    if keep and not input_:
        raise DataError(f"--keep {keep[0]}: expected --input with such a column, found none; lines have a text only")
    if output:
        check_output(output)
    model = load(run, device)
    name = the_task(model, task)
    spec = model.task(name)
    kept = [column for column in dict.fromkeys(keep or ()) if column not in spec.text]
    rows = from_file(input_, spec, kept) if input_ else from_lines(sys.stdin.buffer, spec, sys.stdin.encoding)
    bad: list[int] = []
    good = sifted(rows, input_ or PIPE, skip_bad, bad.append)
    count = write_answers(answers(model, name, good, kept, every), spec, output, sys.stdout)
    if output:
        typer.echo(f"wrote {count:,} answers to {output}", err=True)
    if any(bad):
        typer.echo(f"left out {bad[0]:,} bad {'row' if bad[0] == 1 else 'rows'}, see {skip_bad}", err=True)
