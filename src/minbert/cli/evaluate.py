"""`minbert evaluate`."""

import json
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from minbert.cli.errors import told

SKIP_BAD = Annotated[
    Path | None,
    typer.Option(
        help="Go on without bad rows; write them to this file, of the recipe's own to NAME-TASK-FILE.jsonl.",
        metavar="NAME.jsonl",
    ),
]


@told
def evaluate(
    run: Annotated[Path, typer.Argument(help="A finished run.")],
    task: Annotated[str, typer.Option(help="Which task, for --input; may be left out if there is one.")] = "",
    input_: Annotated[Path | None, typer.Option("--input", help="New labelled data, with the task's columns.")] = None,
    split: Annotated[str, typer.Option(help="test: score the recipe's test files.")] = "",
    with_details: Annotated[
        bool, typer.Option("--details", help="Calibration, score by class and length, worst answers with texts.")
    ] = False,
    worst: Annotated[int, typer.Option(min=0, help="How many of the worst answers --details shows.")] = 5,
    data: Annotated[
        Path | None, typer.Option(help="Folder of the recipe's files, for --details. Default: where they were.")
    ] = None,
    skip_bad: SKIP_BAD = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps, ...")] = "auto",
) -> None:
    """Show the final table of a run, or score it on new labelled data; with --details, where it errs.

    Example: minbert evaluate runs/mine --task topic --input march.csv --details
    """
    from minbert.errors import RunError

    own_rows = input_ is None and not split
    if split not in ("", "test"):
        raise RunError(f"--split {split}: expected test (train and dev stand in the final table)")
    if input_ and split:
        raise RunError(f"--split {split}: expected none beside --input {input_}; leave one of them out")
    if data and not (own_rows and with_details):
        raise RunError(f"--data {data}: expected only with --details of the run's own dev rows; --input takes a path")
    if own_rows and not with_details:
        if task:
            raise RunError(f"--task {task}: expected --input with new labelled data, or --details, found neither")
        show_result(run, as_json)
        return
    if own_rows:
        found = dev_details(run, task, data, skip_bad, worst)
    else:
        found = file_scores(run, task, input_, skip_bad, worst if with_details else -1, device)
    if as_json:
        typer.echo(json.dumps(found[0] if input_ else found, indent=2))
    else:
        show_scores(run, found)


def show_result(run: Path, as_json: bool) -> None:
    """Prints the final table of a run."""
    from minbert.cli.train import show_run
    from minbert.runs import Run

    if as_json:
        typer.echo(json.dumps(Run(run).read("result.json"), indent=2))
    else:
        show_run(run)


def dev_details(run: Path, task: str, data: Path | None, skip_bad: Path | None, worst: int) -> list[dict[str, Any]]:
    """Details of the run's own dev rows: of the named task, or of all that were scored."""
    from minbert.cli.screen import aside
    from minbert.runs import Run
    from minbert.training.answers import read_answers, read_tasks
    from minbert.training.details import details, fit_rows
    from minbert.training.recorded import answered_rows

    found = []
    tasks = read_tasks(run)
    answered = read_answers(run)
    for name in [task] if task else [name for name in tasks if name in answered]:
        with aside.status(f"reading the rows of {name} ..."):
            rows, splits = answered_rows(Run(run), name, data, skip_bad)
        found.append(details(name, tasks[name], rows, splits["dev"].scores, fit_rows(splits, same=True), worst))
    return found


def file_scores(
    run: Path, task: str, file: Path | None, skip_bad: Path | None, worst: int, device: str
) -> list[dict[str, Any]]:
    """Scores on a new file, or on the recipe's test files; details too, unless `worst` is below 0.

    In the precision of the run, so that they can stand beside its own; a checkpoint alone does not tell it.
    """
    from minbert.inference import load, score_rows
    from minbert.runs import Run
    from minbert.tasks.data import rejects_of
    from minbert.text.batches import texts_of
    from minbert.training.answers import FILE, read_answers
    from minbert.training.details import details, fit_rows
    from minbert.training.scoring import labelled_rows, scores_of, test_files, the_task

    record = Run(run).read("run.json") if file is None or (run / "run.json").is_file() else {}
    model = load(run, device, record.get("environment", {}).get("precision", "auto"))
    files = [(the_task(model, task), file)] if file else test_files(record, task)
    answers = read_answers(run) if worst >= 0 and (run / FILE).is_file() else {}
    found, stems = [], list[str]()
    for name, path in files:
        spec = model.task(name)
        stems.append(path.stem)
        rejects = skip_bad if file else rejects_of(skip_bad, name, stems)
        rows = labelled_rows(spec, path, rejects, partial(typer.echo, err=True))
        scores = score_rows(model.model, name, texts_of(rows.columns, model.model.tokenizer))
        if worst < 0:
            found.append(scores_of(name, spec, rows.labels, scores))
        else:
            found.append(details(name, spec, rows, scores, fit_rows(answers.get(name, {}), same=False), worst))
    return found


def show_scores(run: Path, found: list[dict[str, Any]]) -> None:
    """Prints what was found, task by task, and on what the run's epoch was selected."""
    from rich.padding import Padding
    from rich.text import Text

    from minbert.cli.screen import console, show
    from minbert.reporting.details import detail_grids, worst_lines
    from minbert.reporting.scores import score_grids
    from minbert.reporting.tables import selections
    from minbert.runs import Run

    for scores in found:
        for grid in [*score_grids(scores), *(detail_grids(scores) if "worst" in scores else [])]:
            show(grid)
        for indent, line in worst_lines(scores) if "worst" in scores else []:
            console.print(Padding(Text(line), (0, 0, 0, indent), expand=False))
        if "worst" in scores:
            console.print()
    if Run(run).finished:
        console.print(f"the run: {selections([Run(run).read('result.json')])}")
