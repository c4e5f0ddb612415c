"""`minbert init`."""

from pathlib import Path
from typing import Annotated

import typer

from minbert.cli.errors import told


@told
def init(
    files: Annotated[list[Path], typer.Argument(help="Data files: CSV, TSV or JSONL, one per task.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The recipe to write.")] = Path("mine.toml"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite the recipe if it is there.")] = False,
) -> None:
    """Look at data files and write a recipe: columns, kinds and ranges are guessed, and said.

    Example: minbert init tickets.csv questions.csv -o mine.toml
    """
    from minbert.errors import DataError, RecipeError
    from minbert.recipe.draft import draft
    from minbert.storage import write_text
    from minbert.text.sniff import TaskGuess, sniff

    if output.resolve() in [file.resolve() for file in files]:
        raise RecipeError(f"{output}: expected another file for the recipe than the data; choose another -o")
    if output.exists() and not force:
        raise RecipeError(f"{output}: is there already; choose another -o, or --force")
    guesses: list[TaskGuess] = []
    faults: list[str] = []
    for file in files:
        try:
            guesses.append(sniff(file, [guess.name for guess in guesses]))
        except DataError as fault:
            faults += fault.faults
    if faults:
        raise DataError(faults)
    write_text(output, draft(guesses, output.parent))
    for guess in guesses:
        typer.echo(f"{guess.name}: {guess.kind}, text {' + '.join(guess.text)}, label {guess.label}   ({guess.path})")
        for remark in guess.remarks:
            typer.echo(f"  {remark}")
    typer.echo(f"wrote {output}; look at it, then: minbert train {output} --dry-run")
