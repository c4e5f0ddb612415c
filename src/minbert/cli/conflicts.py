"""`minbert conflicts`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from minbert.cli.errors import told


@told
def conflicts(
    run: Annotated[Path, typer.Argument(help="A run whose recipe has conflicts_every.")],
    plot: Annotated[
        Path | None, typer.Option(help="Write a picture over steps and layers: .svg, .png or .pdf.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Show how the tasks' gradients stood to each other: who disturbs whom, in which layers, and when.

    Example: minbert conflicts runs/mine --plot conflicts.svg
    """
    from minbert.cli.screen import console
    from minbert.reporting.conflict_plot import plot_conflicts
    from minbert.reporting.conflicts import LEGEND, conflict_summary, conflict_tables, pairs_of, recorded
    from minbert.reporting.tables import forgetting_table
    from minbert.runs import read_lines
    from minbert.training.answers import read_tasks
    from minbert.training.forgetting import forgetting

    lines = recorded(run)
    found = conflict_summary(lines)
    metrics = {name: str(task.scored_by) for name, task in read_tasks(run).items()} if (run / "best").exists() else {}
    rows = forgetting(read_lines(run / "metrics.jsonl"), metrics) if metrics else []
    if plot:
        plot_conflicts(pairs_of(lines), rows, run.resolve().name, plot)
    if as_json:
        typer.echo(json.dumps({**found, "forgetting": rows}, indent=2))
        return
    for table in conflict_tables(found):
        console.print(table)
    console.print(LEGEND, style="dim")
    console.print(f"{len(lines):,} steps were written down, {found['several_tasks']:.0%} of them with several tasks")
    if rows:
        console.print(forgetting_table(rows, list(rows[-1]["scores"])))
    if plot:
        console.print(f"wrote {plot}", markup=False, soft_wrap=True)
