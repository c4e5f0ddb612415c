"""`minbert compare`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from minbert.cli.errors import told


@told
def compare(
    runs: Annotated[
        list[Path], typer.Argument(help="Finished runs, or the folder of an experiment; the first arm is the control.")
    ],
    format_: Annotated[Literal["text", "markdown", "latex", "json"], typer.Option("--format")] = "text",
    without_leaks: Annotated[
        bool, typer.Option("--without-leaks", help="Leave out dev rows that train gives away.")
    ] = False,
) -> None:
    """Say which arm is better than the first one, and which difference is noise.

    Runs that differ only in their seed are one arm.

    Example: minbert compare runs/surgery --format latex
    """
    from minbert.cli.screen import Bar, aside, console, show
    from minbert.comparison import compare as compare_arms
    from minbert.comparison import draws_of, notes, read_arms
    from minbert.reporting.comparison import as_json, as_latex, as_markdown, grids, sentences

    with Bar(aside) as bar:
        bar.doing("reading the runs")
        arms = read_arms(runs)
        bar.begin(draws_of(arms))
        bar.doing("drawing rows again")
        found = compare_arms(arms, bar.advance, without_leaks)
    if format_ != "text":
        write = {"markdown": as_markdown, "latex": as_latex, "json": as_json}[format_]
        typer.echo(write(arms, found, without_leaks))
        return
    for grid in grids(arms, found):
        show(grid)
    for line in sentences(found):
        console.print(line, markup=False, style="bold")
    console.print()
    for line in notes(arms, found, without_leaks):
        console.print(line, markup=False, style="dim")
