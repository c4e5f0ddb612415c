"""`minbert tune`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated

import typer

from minbert.cli.errors import told
from minbert.cli.jobs import do_jobs, end
from minbert.cli.train import DATA, DEVICE, RECIPE

if TYPE_CHECKING:
    from minbert.experiments import Given, Search, Setting, Trial
    from minbert.training import Listener

SHOWN = 10
"""How many trials the last table shows."""


@told
def tune(
    recipe: RECIPE,
    trials: Annotated[int, typer.Option(min=1, help="How many trials, with those of before.")] = 20,
    fresh: Annotated[int, typer.Option(min=1, help="How many fresh seeds the best recipe is repeated with.")] = 3,
    pareto: Annotated[bool, typer.Option("--pareto", help="One objective per task; nothing is pruned.")] = False,
    data: DATA = None,
    run: Annotated[Path | None, typer.Option(help="Where the search goes. Default: runs/<recipe>-tune.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="path=value, e.g. select.on=0.1; repeatable.")] = None,
    device: DEVICE = "auto",
) -> None:
    """Search for settings within the ranges of the recipe's [tune] table; then repeat the best with fresh seeds.

    Settings are chosen on the select split, never on dev. Stop it when you like: the same command goes on.
    It needs optuna: pip install 'minbert[tune]'.

    Example: minbert tune mine.toml --set select.on=0.1 --trials 20
    """
    from minbert.cli.screen import console
    from minbert.experiments import Given, Search, check_inputs, read_space
    from minbert.training import Interrupted

    space, given = read_space(recipe, set_ or []), Given(data, device)
    search = Search(space, run or Path("runs") / f"{Path(recipe).stem}-tune", pareto)
    check_inputs([space.recipe], given)
    try:
        for trial in search.run(trials, lambda number, settings: heard(search, number, trials, settings), given):
            console.print(f"  {said(search, trial)}", markup=False)
    except (Interrupted, KeyboardInterrupt):
        raise Interrupted(
            f"stopped, {len(search.trials())} of {trials} trials done; the same command goes on"
        ) from None
    show_search(search, given, fresh)


@contextmanager
def heard(search: "Search", number: int, trials: int, settings: "dict[str, Setting]") -> "Iterator[Listener]":
    """Says which trial begins; then a bar."""
    from minbert.cli.screen import Bar, console, duration

    seconds = search.seconds()
    left = f" (about {duration(fmean(seconds) * (trials - number + 1))} for all that are left)" if seconds else ""
    console.print(f"trial {number} of {trials}{left}: {shown(settings)}", markup=False)
    with Bar() as bar:
        yield bar


def shown(settings: "dict[str, Setting]") -> str:
    """Settings in one line, each path by as many of its last parts as tell it apart."""
    paths = {path: path.split(".") for path in settings}
    words = []
    for path, setting in settings.items():
        sizes = range(1, len(paths[path]) + 1)
        alone = (n for n in sizes if [parts[-n:] for parts in paths.values()].count(paths[path][-n:]) == 1)
        size = next(alone, len(paths[path]))
        value = f"{setting:.3g}" if isinstance(setting, float) else f"{setting}"
        words.append(f"{'.'.join(paths[path][-size:])} {value}")
    return ", ".join(words)


def said(search: "Search", trial: "Trial") -> str:
    """What became of a trial."""
    if trial.state != "done":
        return f"{trial.state}{': ' if trial.remark else ''}{trial.remark}"
    return ", ".join(f"{name} {score:.3f}" for name, score in zip(search.objectives, trial.scores, strict=True))


def show_search(search: "Search", given: "Given", fresh: int) -> None:
    """Prints the trials, writes the best recipe, repeats it with fresh seeds, and prints what it reaches then."""
    from minbert.cli.screen import console
    from minbert.experiments import Job, write_recipe
    from minbert.reporting.arms import seeds_table, trials_table
    from minbert.runs import Run

    best = search.best()
    if not best:
        console.print("no trial was finished: wider ranges, or other ones, may do")
        raise typer.Exit(1)
    others = [trial for trial in search.trials() if trial.number not in {found.number for found in best}]
    listed = [*best, *sorted(others, key=lambda trial: -sum(trial.scores))]
    rows = [(trial.number, trial.state, trial.scores, shown(trial.settings)) for trial in listed[:SHOWN]]
    console.print(trials_table(list(search.objectives), rows))
    if len(listed) > SHOWN:
        console.print(f"and {len(listed) - SHOWN} more; all are in {search.folder}", markup=False)
    if len(search.objectives) > 1:
        console.print(f"no other trial is better in every task than the first {len(best)}; the best mean comes first")
    chosen = best[0]
    recipe, file = search.space.at(chosen.settings), search.folder / "best.toml"
    write_recipe(recipe, file, given, f"Trial {chosen.number} of a search: {said(search, chosen)}")
    seeds = range(recipe.seed + 1, recipe.seed + 1 + fresh)
    place = search.folder / "fresh" / search.place(chosen.number).name
    jobs = [Job("best", k, recipe.model_copy(update={"seed": k}), place / f"seed-{k}") for k in seeds]
    console.print(f"trial {chosen.number} again, with seeds that the search has not seen", markup=False)
    failures = do_jobs(jobs, given, retry=True)
    results = {job.seed: Run(job.folder).read("result.json") for job in jobs if job.state == "done"}
    if results:
        console.print(seeds_table(results))
        again = fmean(result["best"]["select_score"] for result in results.values())
        console.print(
            f"select score: {again:.3f} with fresh seeds, which hold out other rows; in the search, "
            f"where it was the best of {len(listed)} and so is too high on average: {said(search, chosen)}",
            markup=False,
        )
    console.print(f"the recipe is {file}; next: minbert train {file} --run {search.folder}-best", markup=False)
    end(jobs, failures, "the same command")
