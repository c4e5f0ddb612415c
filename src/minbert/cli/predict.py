"""`minbert predict`."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from minbert.cli.errors import told
from minbert.cli.train import DEVICE

if TYPE_CHECKING:
    from minbert.tasks import Task
    from minbert.text.example import Example
    from minbert.text.lines import Fault

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

say = partial(typer.echo, err=True)


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

    from minbert.inference import load
    from minbert.inference.bulk import PIPE, answers, write_answers
    from minbert.tasks.data import left_out
    from minbert.text.readers import sifted
    from minbert.training.scoring import the_task

    check_places(input_, output, skip_bad, keep)
    model = load(run, device)
    name = the_task(model, task)
    spec = model.task(name)
    kept = [column for column in dict.fromkeys(keep or ()) if column not in spec.text]
    rows = rows_of(input_, spec, kept, bool(skip_bad))
    bad: list[int] = []
    good = sifted(rows, input_ or PIPE, skip_bad, bad.append)
    found = answers(model, name, good, kept, every, int(input_ is None and sys.stdin.isatty()))
    count = write_answers(found, spec, output, sys.stdout)
    if output:
        say(f"wrote {count:,} answers to {output}")
    if any(bad):
        say(left_out(str(input_ or PIPE), bad[0], skip_bad))


def check_places(input_: Path | None, output: Path | None, skip_bad: Path | None, keep: list[str] | None) -> None:
    """Refuses to write over what is read, a file of an unknown kind, and columns of a pipe."""
    from minbert.errors import DataError
    from minbert.inference.bulk import check_output

    for other, what in ((input_, "--input"), (skip_bad, "--skip-bad")):
        if output and other and output.resolve() == other.resolve():
            raise DataError(f"{output}: expected another file for --output than for {what}; name a new one")
    if keep and not input_:
        raise DataError(f"--keep {keep[0]}: expected --input with such a column, found none; lines have a text only")
    if output:
        check_output(output)


def rows_of(input_: Path | None, task: "Task", kept: list[str], skipping: bool) -> "Iterator[Example | Fault]":
    """The rows of a file, looked through before if bad ones are not left out; or of standard input."""
    import sys

    from minbert.inference.bulk import from_file, from_lines
    from minbert.text.readers import checked

    if input_ is None:
        if sys.stdin.isatty():
            say(f"{'two texts with a tab between' if task.is_pair else 'one text'} a line; Ctrl-D ends")
        return from_lines(sys.stdin.buffer, task, sys.stdin.encoding)
    read = from_file(input_, task, kept, say)
    if not skipping and input_.is_file():
        checked(read())
    return read()
