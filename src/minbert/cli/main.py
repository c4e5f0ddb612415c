"""`minbert`: one command per file. Nothing heavy is imported until a command runs."""

from typing import Annotated

import typer

from minbert import __version__
from minbert.cli.ablate import ablate
from minbert.cli.compare import compare
from minbert.cli.conflicts import conflicts
from minbert.cli.data import data_app
from minbert.cli.demo import demo
from minbert.cli.evaluate import evaluate
from minbert.cli.init import init
from minbert.cli.predict import predict
from minbert.cli.report import report
from minbert.cli.reproduce import reproduce
from minbert.cli.train import train
from minbert.cli.tune import tune

app = typer.Typer(
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="One small BERT, many sentence tasks: train, evaluate, predict. Start with: minbert demo",
)


def _version(given: bool) -> bool:
    if given:
        typer.echo(f"minbert {__version__}")
        raise typer.Exit
    return given


@app.callback()
def minbert(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Holds the options that belong to no command."""


for command in (
    demo,
    init,
    train,
    evaluate,
    predict,
    ablate,
    compare,
    tune,
    conflicts,
    report,
    reproduce,
):
    app.command()(command)
app.add_typer(data_app, name="data")
