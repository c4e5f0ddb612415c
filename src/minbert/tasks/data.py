"""A task's rows: read, checked, split."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch import Tensor

from minbert.errors import DataError
from minbert.storage import atomic_file
from minbert.tasks.leaks import exact, transitive
from minbert.tasks.splits import hold_out
from minbert.tasks.task import Task
from minbert.text.batches import shuffled
from minbert.text.example import Example
from minbert.text.lines import Fault
from minbert.text.readers import MOST_FAULTS, examples, sifted

Find = Callable[[str], Path]
"""Where the file that a recipe names is."""


@dataclass(frozen=True)
class Split:
    """Rows of one task.

    Attributes:
        columns: the texts, by column.
        labels: (rows,).
        places: `file:line` of each row.
    """

    columns: tuple[tuple[str, ...], ...]
    labels: Tensor
    places: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.places)

    def rows(self, chosen: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> "Split":
        """The chosen rows, in the order given."""
        numbers = np.flatnonzero(chosen) if chosen.dtype == bool else chosen
        columns = tuple(tuple(column[i] for i in numbers) for column in self.columns)
        return Split(columns, self.labels[numbers], tuple(self.places[i] for i in numbers))


@dataclass(frozen=True)
class TaskData:
    """A task with its rows.

    Attributes:
        task: with its classes filled in.
        splits: `train`, `dev`, and `select` and `test` where the recipe has them.
        remarks: what a reader should know: shares that could not be met, rows left out.
        files: the files that were read, by split.
        held: the places of the rows that were held out of train, by split, before any limit.
    """

    task: Task
    splits: dict[str, Split]
    remarks: tuple[str, ...]
    files: dict[str, tuple[Path, ...]]
    held: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def leaked(self, split: str) -> npt.NDArray[np.bool_]:
        """Rows of a split whose answer train gives away (for pairs; none for single texts but exact ones)."""
        rows, train = self.splits[split], self.splits["train"]
        found = exact(rows.columns, train.columns)
        if self.task.kind == "yes_no" and self.task.is_pair:
            yes, train_yes = rows.labels.numpy() == 1, train.labels.numpy() == 1
            found |= transitive(rows.columns, yes, train.columns, train_yes)
        return found


def load_task(
    name: str,
    task: Task,
    find: Find,
    seed: int,
    select: float = 0.0,
    skip_bad: Path | None = None,
    others: Iterable[TaskData] = (),
) -> TaskData:
    """Reads a task's files and splits them.

    Tasks that read the same text columns of the same files, and hold out the same share, hold out the same rows, so
    that none learns from a row that another holds out. Where one does a remark says so.

    Args:
        name: of the task.
        task: what the recipe says.
        find: where a named file is.
        seed: the run's seed, for shares and limits.
        select: the share of train held out to choose the best epoch on; 0: none.
        skip_bad: where rejected rows are written; None: a bad row is an error.
        others: the tasks of the recipe that are read already.

    Raises:
        DataError: every fault of every file, at once.
    """
    faults: list[str] = []
    files = {split: _found(names, find, faults) for split, names in task.files.items() if names}
    remarks: list[str] = []
    rows = _read(name, task, files, skip_bad, faults, remarks)
    if faults and task.kind == "classes":
        # A class may stand in broken rows only.
        raise DataError(faults)
    learned = task.learned([example.label or "" for _, example in rows["train"]])
    unread: list[Fault] = []
    splits = {split: labelled(learned, found, unread) for split, found in rows.items()}
    if faults or (unread and skip_bad is None):
        raise DataError([*faults, *map(str, unread)])
    if unread and (rejects := rejects_of(skip_bad, name, ["labels"])):
        _set_aside(unread, rejects)
        remarks.append(left_out("all files", len(unread), rejects))
    _check_rows(name, learned, splits, files, remarks)
    beside = [other for other in others if set(other.files["train"]) & set(files["train"])]
    same = [other for other in beside if other.files["train"] == files["train"] and _hold_alike(other.task, task)]
    alike = same[0].held if same else {}
    held: dict[str, tuple[str, ...]] = {}
    for split, share in (("dev", task.dev), ("select", select)):
        if isinstance(share, float) and share:
            _hold(splits, split, share, seed, name, remarks, alike.get(split))
            held[split] = splits[split].places
    for split in ("train", "dev"):
        if 0 < task.limit < len(splits[split]):
            drawn = shuffled(np.arange(len(splits[split])), seed, name, split, "limit")[: task.limit]
            remarks.append(f"{split}: {task.limit:,} of {len(splits[split]):,} rows, drawn once")
            splits[split] = splits[split].rows(np.sort(drawn))
    remarks += _crossed(splits["train"], held, beside)
    return TaskData(learned, splits, tuple(remarks), files, held)


def _found(names: Sequence[str], find: Find, faults: list[str]) -> tuple[Path, ...]:
    """The files of these names; what cannot be found goes to `faults`."""
    paths = []
    for name in names:
        try:
            paths.append(find(name))
        except DataError as fault:
            faults += fault.faults
    return tuple(paths)


def _read(
    name: str,
    task: Task,
    files: dict[str, tuple[Path, ...]],
    skip_bad: Path | None,
    faults: list[str],
    remarks: list[str],
) -> dict[str, list[tuple[Path, Example]]]:
    """The rows of all files, by split; what is wrong with them goes to `faults`, or is left out with a remark."""
    rows: dict[str, list[tuple[Path, Example]]] = {}
    stems: list[str] = []
    for split, paths in files.items():
        rows[split] = []
        for path in paths:
            stems.append(path.stem)
            rejects, bad = rejects_of(skip_bad, name, stems), list[int]()
            try:
                found: Iterable[Example | Fault] = examples(path, task.text, task.label, task.format)
                # Good rows of a file with faults go on, so that their labels are looked at too.
                found = sifted(found, path, rejects, bad.append) if rejects else found
                for row in found:
                    if isinstance(row, Example):
                        rows[split].append((path, row))
                    elif len(faults) < MOST_FAULTS:
                        faults.append(str(row))
            except DataError as fault:
                faults += fault.faults
            if any(bad):
                remarks.append(left_out(split, bad[0], rejects))
    return rows


def rejects_of(skip_bad: Path | None, name: str, stems: list[str]) -> Path | None:
    """Where the bad rows of the last of a task's files go: each file has its own, also where two have one name."""
    number = stems.count(stems[-1])
    again = f"-{number}" if number > 1 else ""
    return skip_bad and skip_bad.with_name(f"{skip_bad.stem}-{name}-{stems[-1]}{again}{skip_bad.suffix}")


def left_out(where: str, count: int, rejects: Path | None) -> str:
    """Says how many bad rows are not there, and where they are."""
    return f"{where}: {count:,} bad {'row' if count == 1 else 'rows'} left out, see {rejects}"


def label_of(task: Task, path: Path, example: Example) -> float | Fault:
    """The label of a row as a number, or the fault of one that the task cannot read."""
    label = task.parse(example.label or "")
    if isinstance(label, str):
        return Fault(path, example.line, label, "\t".join((*example.texts, example.label or "")))
    return label


def labelled(task: Task, rows: list[tuple[Path, Example]], unread: list[Fault]) -> Split:
    """The rows with their labels as numbers; rows whose label is none go to `unread`."""
    kept: list[tuple[Path, Example]] = []
    numbers: list[float] = []
    for path, example in rows:
        label = label_of(task, path, example)
        if isinstance(label, Fault):
            unread.append(label)
        else:
            kept.append((path, example))
            numbers.append(label)
    columns = tuple(tuple(example.texts[i] for _, example in kept) for i in range(len(task.text)))
    return Split(columns, task.tensor(numbers), tuple(f"{path}:{example.line}" for path, example in kept))


def _check_rows(
    name: str, task: Task, splits: dict[str, Split], files: dict[str, tuple[Path, ...]], remarks: Sequence[str]
) -> None:
    """Refuses splits without rows, and classes of which there is one."""
    without = "".join(f" ({remark})" for remark in remarks)
    faults = [
        f"{files[split][0]}: expected rows for task {name!r}, found none{without}"
        for split in splits
        if not splits[split]
    ]
    if not faults and task.kind == "classes" and task.outputs < 2:
        faults = [f"{files['train'][0]}: expected two classes or more in {task.label!r}, found one"]
    if faults:
        raise DataError(faults)


def _set_aside(unread: list[Fault], rejects: Path) -> None:
    """Writes rows with unreadable labels as `read` writes its bad rows."""
    with atomic_file(rejects) as file:
        file.writelines(fault.rejected() for fault in unread)


def _hold_alike(one: Task, other: Task) -> bool:
    """Whether two tasks over the same files hold out the same rows: by the same texts and share, if any, of dev."""
    shares = [task.dev if isinstance(task.dev, float) else 0.0 for task in (one, other)]
    return set(one.text) == set(other.text) and shares[0] == shares[1]


def _crossed(train: Split, held: dict[str, tuple[str, ...]], beside: Sequence[TaskData]) -> list[str]:
    """Says that rows are learned by one task which another one over the same files holds out."""
    why = "columns or shares of dev differ; give both the same, or a file for dev"
    mine, learned = {place for places in held.values() for place in places}, set(train.places)
    theirs = {place for other in beside for places in other.held.values() for place in places}
    known = {place for other in beside for place in other.splits["train"].places}
    counts = {
        f"train: {len(theirs & learned):,} rows that another task of the same files holds out": theirs & learned,
        f"held out: {len(mine & known):,} rows that another task of the same files learns from": mine & known,
    }
    return [f"{said}: {why}" for said, rows in counts.items() if rows]


def _hold(
    splits: dict[str, Split],
    split: str,
    share: float,
    seed: int,
    name: str,
    remarks: list[str],
    places: tuple[str, ...] | None,
) -> None:
    """Moves a share of train, or the rows at these places, into a split of its own."""
    train = splits["train"]
    if places is None:
        held, got = hold_out(train.columns, train.labels, share, seed, name, split)
    else:
        held = np.isin(train.places, places)
        got = float(held.mean())
    if not 0 < held.sum() < len(train):
        raise DataError(
            f"{train.places[0]}: expected a share of {share:g} of train to hold out for {split}, found that its "
            f"{len(train):,} rows are too few or hang together through equal texts; name a file for {split}"
        )
    if got < 0.8 * share:
        remarks.append(
            f"{split}: {got:.1%} of train, not {share:.1%}: the other rows hang together through equal texts"
        )
    splits[split], splits["train"] = train.rows(held), train.rows(~held)
