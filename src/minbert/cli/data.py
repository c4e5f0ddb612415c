"""`minbert data check`."""

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from minbert.cli.errors import told
from minbert.cli.train import DATA, FROM, RECIPE, asked_recipe

if TYPE_CHECKING:
    from minbert.audit import Audit
    from minbert.recipe import Recipe
    from minbert.training import Listener

SET = Annotated[list[str] | None, typer.Option("--set", help="path=value, e.g. tasks.x.dev=0.1; repeatable.")]
NEAR = Annotated[
    float, typer.Option(help="Similarity from which texts count as near, 0.6 to 1; 0: do not look for near ones.")
]
FLOORS = Annotated[bool, typer.Option("--floors", help="Also score the encoder as it is, which takes longer.")]
ALLOW = Annotated[
    list[str] | None,
    typer.Option(help="Do not fail for broken, disagreement, exact, near, transitive, across or dev-test; repeatable."),
]
JSON = Annotated[bool, typer.Option("--json", help="Print JSON with every finding instead of tables.")]
FIX = Annotated[
    Path | None, typer.Option(help="Write cleaned copies of train, a recipe over them and a note to this new folder.")
]

data_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Look at the data of a recipe: leaks, broken rows, labels.\n\nExample: minbert data check quick --data ~/data",
)


@data_app.callback()
def data_commands() -> None:
    """Keeps `check` a command of its own, though it is the only one."""


@data_app.command()
@told
def check(
    recipe: RECIPE,
    data: DATA = None,
    set_: SET = None,
    near: NEAR = 0.8,
    floors: FLOORS = False,
    allow: ALLOW = None,
    as_json: JSON = False,
    fix: FIX = None,
    from_: FROM = None,
) -> None:
    """Check the data of a recipe before training: broken rows, labels, lengths, leaks, floors.

    Exit status: 0 if nothing is amiss, or all that is was allowed, or --fix has written its copies; 1 if something is;
    2 if recipe or files cannot be used.

    Example: minbert data check quick --data ~/data --allow transitive --allow near
    """
    from minbert.audit import KINDS
    from minbert.audit.check import check_options
    from minbert.audit.fix import check_target
    from minbert.cli.screen import Bar
    from minbert.errors import RecipeError
    from minbert.training import Listener

    check_options(near, allow or [])
    if from_ and fix:
        raise RecipeError(f"--from {from_}: expected none beside --fix, which cleans one recipe's files; leave it out")
    value = asked_recipe(recipe, set_, from_)
    if fix:
        check_target(fix)
    # JSON stands alone on standard output.
    with contextlib.nullcontext(Listener()) if as_json else Bar() as listener:
        found = look(value, data, near, listener)
        report = found.report()
        if floors:
            add_floors(value, found, report, listener)
        if fix:
            report["fix"] = write_fix(value, data, found, fix, listener)
    if as_json:
        typer.echo(json.dumps(report, indent=1, ensure_ascii=False))
    else:
        show(report, allow or [], fix)
    if not fix and found.counts().keys() & KINDS.keys() - set(allow or []):
        if not as_json:
            typer.echo(advice(recipe, found))
        raise typer.Exit(1)


def advice(recipe: str, found: "Audit") -> str:
    """What to do about what was found."""
    # What stands in dev and in test is nothing that train could be cleaned of.
    cleans = "--fix DIR cleans train; " if found.counts().keys() - {"dev-test"} else ""
    return f"next: minbert data check {recipe} {cleans}--allow KIND lets a kind pass"


def look(recipe: "Recipe", data: Path | None, near: float, listener: "Listener") -> "Audit":
    """The audit of a recipe's files, with lengths in its encoder's tokens."""
    from minbert.audit import check, read_rows
    from minbert.encoder import resolve, tokenizer_of

    listener.doing("reading")
    source = resolve(recipe.encoder.source, recipe.encoder.digest, recipe.folder)
    tokenizer = tokenizer_of(source, recipe.encoder.max_tokens, recipe.encoder.prompt)
    return check(read_rows(recipe, data), near, tokenizer, listener)


def add_floors(recipe: "Recipe", found: "Audit", report: dict[str, Any], listener: "Listener") -> None:
    """Scores the encoder as it is."""
    from minbert.training.floors import floors, floors_work
    from minbert.training.setup import equip, load_encoder

    listener.doing("floors: the encoder as it is")
    setup = equip(recipe, found.reading.tasks, load_encoder(recipe))
    listener.begin(floors_work(setup))
    for name, scores in floors(setup, listener.advance).items():
        report["tasks"][name]["floors"] = scores


def write_fix(
    recipe: "Recipe", data: Path | None, found: "Audit", target: Path, listener: "Listener"
) -> dict[str, Any]:
    """Writes the cleaned copies."""
    from minbert.audit import fix
    from minbert.recipe import Select

    if recipe.select.on != "dev":
        # A share for select is drawn anew from the cleaned train: here its rows are rows of train.
        whole = recipe.model_copy(update={"select": Select()})
        found = look(whole, data, found.near, listener)
    listener.doing("writing")
    return fix(recipe, found, target)


def show(report: dict[str, Any], allow: list[str], fixed: Path | None) -> None:
    """Prints tables, the first findings of each kind, and what it comes to."""
    from minbert.audit import KINDS
    from minbert.cli.screen import console
    from minbert.reporting.audit_tables import audit_legend, audit_tables, finding_lines, fix_lines, summary

    for table in audit_tables(report):
        console.print(table)
    console.print(audit_legend(report), style="dim")
    for line in [*finding_lines(report, KINDS), summary(report["counts"], KINDS, allow)]:
        console.print(line, markup=False, soft_wrap=True)
    for line in fix_lines(report, fixed) if fixed else ():
        console.print(line, markup=False, soft_wrap=True)
