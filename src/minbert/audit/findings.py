"""What is wrong, row by row, with file and line."""

from collections.abc import Iterator
from dataclasses import dataclass

from minbert.audit.overlaps import Overlap
from minbert.audit.parts import Part
from minbert.audit.rows import Broken

KINDS = {
    "broken": "rows that cannot be read",
    "disagreement": "equal rows of a split with different labels",
    "exact": "rows whose words stand in the task's own train, pairs in either order",
    "near": "rows that nearly stand there",
    "transitive": "yes-pairs that follow from train's yes-pairs by A = B, B = C",
    "across": "rows that stand, or nearly stand, in another task's train",
    "dev-test": "test rows that stand, or nearly stand, in dev",
}
"""What makes a check fail, by the name that `--allow` takes."""


@dataclass(frozen=True)
class Finding:
    """One row that should not be as it is.

    Attributes:
        kind: a key of `KINDS`, or `select` for what only touches the choice of the epoch.
        task: whose row it is.
        split: where it stands.
        place: `file:line`.
        source: the task and split that give it away; empty where that is nothing.
        others: `file:line` of the rows that give it away, or disagree with it.
        says: what is wrong.
        texts: the row.
    """

    kind: str
    task: str
    split: str
    place: str
    source: str
    others: tuple[str, ...]
    says: str
    texts: tuple[str, ...]


def of_broken(broken: Broken) -> Finding:
    """A row that could not be read."""
    return Finding("broken", broken.task, broken.split, broken.place, "", (), broken.problem, ())


def of_part(part: Part) -> Iterator[Finding]:
    """Equal rows of a split whose labels disagree: the first of each group, with the others."""
    for rows in part.groups():
        if not part.agree(rows):
            labels = ", ".join(part.label(row) for row in rows.tolist())
            yield _finding("disagreement", part, int(rows[0]), None, rows[1:].tolist(), f"labels {labels}")


def of_overlap(found: Overlap) -> Iterator[Finding]:
    """Rows of a split that leak."""
    target, source = found.target, found.source
    own = _own_kind(target, source)
    for row, other in enumerate(found.exact.tolist()):
        if other >= 0:
            says = "letter for letter" if found.letters[row] else "word for word"
            yield _finding(own or "exact", target, row, source, [other], says)
        elif found.near[row] >= 0:
            yield _finding(own or "near", target, row, source, [int(found.near[row])], "nearly equal")
    for row, chain in found.chains.items():
        yield _finding(own or "transitive", target, row, source, list(chain), _chain(len(chain)))


def _chain(length: int) -> str:
    if not length:
        return "the same text twice, and train knows it"
    return f"follows from {length} yes-pair{'s' * (length > 1)}"


def _own_kind(target: Part, source: Part) -> str:
    """The kind of all that leaks between two splits; empty if it is by how much the rows are alike."""
    if target.split == "select":
        return "select"
    if target.task != source.task:
        return "across"
    return "dev-test" if source.split == "dev" else ""


def _finding(kind: str, part: Part, row: int, source: Part | None, others: list[int], says: str) -> Finding:
    beside = (source or part).rows.places
    texts = tuple(column[row] for column in part.rows.columns)
    places = tuple(beside[other] for other in others)
    title = source.title if source else ""
    return Finding(kind, part.task, part.split, part.rows.places[row], title, places, says, texts)
