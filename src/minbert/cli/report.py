"""`minbert report`."""

from pathlib import Path
from typing import Annotated

import typer

from minbert.cli.errors import told


@told
def report(
    run: Annotated[Path, typer.Argument(help="A finished run, or the folder of an experiment.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The page to write. Default: report.html in the folder.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder of the data files, if they are no longer where the run read them.")
    ] = None,
    no_map: Annotated[bool, typer.Option("--no-map", help="Leave the embedding map out: no model is loaded.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps, ...")] = "auto",
) -> None:
    """Write one self-contained HTML page: scores, curves, conflicts, errors, what it was made with.

    Example: minbert report runs/mine -o mine.html
    """
    from minbert.cli.screen import console
    from minbert.errors import RunError
    from minbert.reporting.page import compared, experiment_page, gather, map_of, no_map_of, read_experiment, run_page
    from minbert.runs import EXPERIMENT
    from minbert.storage import write_text

    file = output or run / "report.html"
    if file.suffix.lower() not in (".html", ".htm"):
        raise RunError(f"{file}: expected a page to write, ending in .html, found {file.suffix or 'no suffix'}")
    if (run / EXPERIMENT).is_file():
        with console.status("comparing the arms ..."):
            found = read_experiment(run)
            text = experiment_page(found, compared(run, found))
    else:
        with console.status("reading the run ..."):
            made = gather(run, data)
        with console.status("drawing the map of the texts ..."):
            text = run_page(made, no_map_of("--no-map was given") if no_map else map_of(made, device))
    write_text(file, text)
    console.print(f"wrote {file} ({len(text.encode()) / 1024:,.0f} KiB)", markup=False, soft_wrap=True)
