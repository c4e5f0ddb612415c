"""Which rows of train a cleaned copy leaves out, and why."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from minbert.audit.check import Audit
from minbert.audit.links import without_chains
from minbert.audit.parts import Part

WHY = {
    "broken": "they cannot be read",
    "exact": "their words stand in dev or test of the task, pairs in either order",
    "near": "they nearly stand there",
    "across": "they stand, or nearly stand, in dev or test of another task",
    "disagreement": "equal rows have different labels, and nothing says which is right: all of them are left out",
    "duplicate": "they stand there once more: the first one is kept",
    "transitive": "with the yes-pairs kept before it, each makes a yes-pair of dev or test follow by A = B, B = C; "
    "yes-pairs were kept in the order of the file, so none that is left out could be kept beside the others",
}
"""The reasons, in the order in which they are looked at: a row is counted under the first that holds."""


@dataclass(frozen=True)
class Dropped:
    """A row that is left out.

    Attributes:
        task: whose train it stood in.
        place: `file:line`.
        reason: a key of `WHY`.
        other: `file:line` of the row that it stood against; empty where that is no single one.
    """

    task: str
    place: str
    reason: str
    other: str


def dropped_rows(audit: Audit, train: Part) -> dict[int, Dropped]:
    """Rows of a train split to leave out, by row number; broken rows are none.

    Args:
        audit: of a recipe whose train gives no rows to `select`.
        train: one of its parts.
    """
    dropped: dict[int, Dropped] = {}

    def drop(row: int, reason: str, other: str) -> None:
        dropped.setdefault(row, Dropped(train.task, train.rows.places[row], reason, other))

    for row, reason, other in _leaking(audit, train):
        drop(row, reason, other)
    for group in train.groups():
        first = train.rows.places[group[0]]
        if not train.agree(group):
            for row in group.tolist():
                drop(row, "disagreement", first if row != group[0] else train.rows.places[group[1]])
        else:
            kept = [row for row in group.tolist() if row not in dropped]
            for row in kept[1:]:
                drop(row, "duplicate", train.rows.places[kept[0]])
    for row in _linking(audit, train, set(dropped)):
        drop(row, "transitive", "")
    return dropped


def _leaking(audit: Audit, train: Part) -> Iterator[tuple[int, str, str]]:
    """Rows of train that equal, or nearly equal, rows of dev or test: of the own task first."""
    about = [found for found in audit.overlaps if found.source is train]
    for found in sorted(about, key=lambda found: found.target.task != train.task):
        for row, (how, other) in found.giving.items():
            own = found.target.task == train.task
            yield row, how if own else "across", found.target.rows.places[other]


def _linking(audit: Audit, train: Part, gone: set[int]) -> list[int]:
    """Positive pairs of train that would make a pair of dev or test follow."""
    if not train.says_yes:
        return []
    targets = [part for part in audit.parts if part.task == train.task and part.split in ("dev", "test")]
    pairs = np.concatenate([part.texts[part.rows.labels.numpy() == 1] for part in targets])
    links = np.array([row for row in np.flatnonzero(train.rows.labels.numpy() == 1).tolist() if row not in gone], int)
    kept = without_chains(train.texts[links], pairs)
    return [int(row) for row in links[~kept]]
