"""`minbert reproduce`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from minbert.cli.errors import told
from minbert.cli.jobs import going_on

if TYPE_CHECKING:
    from minbert.training.reproduce import Settings


@told
def reproduce(
    rows: Annotated[str, typer.Option(help="Which rows of Table 1: 0-8, or 0,3,8.")] = "0-8",
    epochs: Annotated[int, typer.Option(min=0, help="Epochs of every stage. Default: the report's 10.")] = 0,
    limit: Annotated[
        int, typer.Option(min=0, help="At most so many rows of train and dev per task. Default: all.")
    ] = 0,
    lr: Annotated[
        list[float] | None, typer.Option(help="Learning rate; several give several columns. Default: 1e-5.")
    ] = None,
    encoder: Annotated[str, typer.Option(help="minilm, tiny, a folder, or owner/name@revision.")] = "minilm",
    seed: Annotated[int, typer.Option(min=0)] = 0,
    data: Annotated[Path | None, typer.Option(help="Folder with sst/, quora/, sts/. Default: MINBERT_DATA.")] = None,
    runs: Annotated[Path, typer.Option(help="Where the runs go; finished rows are not run again.")] = Path(
        "runs/reproduce"
    ),
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps, ...")] = "auto",
) -> None:
    """Run the report's Table 1 row by row and print it beside the report's figures.

    Example: minbert reproduce --rows 0-6 --epochs 2 --limit 2000 --lr 1e-5 --lr 5e-5
    """
    from minbert.cli.screen import console
    from minbert.reporting.report_rows import FLOORS, overall_table, report_table
    from minbert.training.reproduce import Settings, rows_of

    chosen = rows_of(rows)
    columns = {}
    for rate in lr or [1e-5]:
        settings = Settings(epochs, limit, rate, encoder, seed)
        columns[f"lr {rate:g}"] = {row: run_row(settings, row, runs, data, device) for row in chosen}
        console.print(report_table(columns[f"lr {rate:g}"], settings.name))
    if len(columns) > 1:
        console.print(overall_table(columns))
    console.print(FLOORS)
    for note in {result["note"] for results in columns.values() for result in results.values()}:
        if note:
            console.print(f"note: {note}", markup=False)


def run_row(settings: "Settings", row: str, runs: Path, data: Path | None, device: str) -> dict[str, Any]:
    """The result of a row: from its run if that is finished, else from running it (to its end, if it was begun)."""
    from minbert.cli.screen import Bar, console
    from minbert.runs import Run
    from minbert.training import train

    run = Run(settings.folder(runs, row))
    if run.finished:
        return dict(run.read("result.json"))
    console.print(f"row {row}: {run.folder}", markup=False)
    with going_on(run.folder, "the same command"), Bar() as bar:
        recipe, begun = settings.recipe(row), run.begun
        return train(recipe, run.folder, data, device=device, resume=begun, listener=bar, with_floors=False)
