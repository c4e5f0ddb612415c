"""The rows that a finished run was scored on, read again from the files that it names."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from minbert.errors import DataError, RunError
from minbert.runs import Run
from minbert.storage import digest_of
from minbert.tasks import Find, Split, Task, TaskData, load_task
from minbert.training.answers import Answered, read_answers, read_tasks
from minbert.training.scoring import named


def answered_rows(
    run: Run, name: str, data: Path | None = None, skip_bad: Path | None = None
) -> tuple[Split, dict[str, Answered]]:
    """The dev rows of a task, and what the run's best checkpoint answered, by split.

    Args:
        run: a finished run.
        name: of the task.
        data: where the files are; None: where they were.
        skip_bad: where rejected rows go, if the run was trained so; None: a bad row is an error.

    Raises:
        RunError: the run is unfinished or has no such task, or nothing scored it.
        DataError: the files are gone or others.
    """
    result, answers, task = run.read("result.json"), read_answers(run.folder), named(read_tasks(run.folder), name)
    if name not in answers:
        raise RunError(f"task {name!r}: expected scores in {run.folder}, found that nothing scored it; train its head")
    record, share = run.read("run.json"), 0.0 if result["selected_on"] == "dev" else float(result["selected_on"])
    loaded: dict[str, TaskData] = {}
    for other, its in read_tasks(run.folder).items():
        # Tasks over the same files hold out the same rows: the first of them says which.
        if its.files["train"] == task.files["train"] and name not in loaded:
            find = recorded_files(record, other, its, data)
            loaded[other] = load_task(other, its, find, int(result["seed"]), share, skip_bad, loaded.values())
    rows = loaded[name].splits["dev"]
    labels = answers[name]["dev"].labels
    if len(rows) != len(labels) or not rows.labels.equal(labels):
        raise DataError(
            f"{rows.places[0].rpartition(':')[0]}: expected the {len(labels):,} dev rows of task {name!r} that the run "
            f"was scored on, found {len(rows):,} others; was it trained with --skip-bad?"
        )
    return rows, answers[name]


def recorded_files(
    record: dict[str, Any], name: str, task: Task, data: Path | None, said: Callable[[Path], str] = str
) -> Find:
    """Where the files of a task are: beneath `data`, or where they were; their content must be the same.

    Args:
        record: of `run.json`.
        name: of the task.
        task: what it is.
        data: where the files are; None: where they were.
        said: how an error names a file.

    Raises:
        DataError: every file that is gone or another.
    """
    places: dict[str, Path] = {}
    faults: list[str] = []
    for split, files in record["files"][name].items():
        for wanted, file in zip(task.files[split], files, strict=True):
            place = data / wanted if data else Path(file["path"])
            if not place.is_file():
                faults.append(f"{said(place)}: expected the file that the run read, found none; say where with --data")
            elif digest_of(place) != file["sha256"]:
                faults.append(f"{said(place)}: expected the file that the run read, found another content; see --data")
            places[wanted] = place
    if faults:
        raise DataError(faults)
    return places.__getitem__
