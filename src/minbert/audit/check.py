"""The audit of a recipe's data."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np

from minbert.audit.findings import KINDS, Finding, of_broken, of_overlap, of_part
from minbert.audit.lengths import length_summary
from minbert.audit.near import near_texts
from minbert.audit.overlaps import Neighbours, Overlap, overlap
from minbert.audit.parts import Part, parts_of
from minbert.audit.rows import Reading
from minbert.errors import DataError
from minbert.text.tokenizer import Tokenizer
from minbert.training import Listener
from minbert.training.floors import trivial
from minbert.values import nearest

NEAR = 0.8
"""The Jaccard similarity from which texts count as near."""

LOWEST = 0.6
"""Below, half of all questions would be near each other, and the search takes long."""


def check_options(near: float, allow: Sequence[str]) -> None:
    """Refuses a threshold out of range and kinds that there are not.

    Raises:
        DataError: names all of them.
    """
    faults = [f"--allow {kind}: expected a kind of finding, found none; {nearest(kind, list(KINDS))}"
              for kind in allow if kind not in KINDS]  # fmt: skip
    if near and not LOWEST <= near <= 1:
        faults.append(f"--near {near:g}: expected 0 (off) or {LOWEST:g} to 1, found another number; 0.8 is usual")
    if faults:
        raise DataError(faults)


@dataclass(frozen=True)
class Audit:
    """What was found.

    Attributes:
        reading: the rows, and those that could not be read.
        parts: the splits of all tasks.
        overlaps: what of dev, select and test stands in train, or of test in dev.
        near: the threshold; 0: near rows were not looked for.
        tokenizer: for lengths; None: lengths are left out.
    """

    reading: Reading
    parts: Sequence[Part]
    overlaps: Sequence[Overlap]
    near: float
    tokenizer: Tokenizer | None = None

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """Every row that should not be as it is."""
        found = [of_broken(broken) for broken in self.reading.broken]
        found += [finding for part in self.parts for finding in of_part(part)]
        return (*found, *(finding for overlap in self.overlaps for finding in of_overlap(overlap)))

    def counts(self) -> dict[str, int]:
        """Findings by kind."""
        return dict(Counter(finding.kind for finding in self.findings))

    def report(self) -> dict[str, Any]:
        """All of it, as `--json` prints it."""
        return {
            "near": self.near,
            "tasks": {name: self._task(name) for name in self.reading.tasks},
            "leaks": [_leak(found) for found in self.overlaps],
            "train_in_train": list(self._train_in_train()),
            "counts": self.counts(),
            "findings": [asdict(finding) for finding in self.findings],
        }

    def _task(self, name: str) -> dict[str, Any]:
        """What there is to know of a task's own rows."""
        data = self.reading.tasks[name]
        train, dev = data.splits["train"], data.splits["dev"]
        return {
            "kind": data.task.kind,
            "metric": data.task.scored_by,
            "splits": {part.split: self._split(part) for part in self.parts if part.task == name},
            "floors": {"trivial": trivial(data.task, train.labels, dev.labels)},
            "remarks": list(data.remarks),
        }

    def _split(self, part: Part) -> dict[str, Any]:
        groups = part.groups()
        labels = part.rows.labels
        classes = {} if part.spec.kind == "rating" else Counter(labels.float().tolist())
        broken = [b for b in self.reading.broken if (b.task, b.split) == (part.task, part.split)]
        return {
            "rows": len(part.rows),
            "broken": len(broken),
            "duplicates": sum(len(rows) - 1 for rows in groups),
            "disagreements": sum(not part.agree(rows) for rows in groups),
            "classes": {part.label_of(value): classes[value] for value in sorted(classes)},
            "mean": None if classes else float(labels.float().mean()),
            "tokens": length_summary(part, self.tokenizer) if self.tokenizer else {},
        }

    def _train_in_train(self) -> Iterator[dict[str, Any]]:
        """How many rows of two tasks' train stand in both: no leak, but worth knowing."""
        for one, other in combinations([part for part in self.parts if part.split == "train"], 2):
            rows = int(np.isin(one.keys, other.keys).sum())
            if rows:
                of_other = int(np.isin(other.keys, one.keys).sum())
                yield {"tasks": [one.task, other.task], "rows": [rows, of_other]}


def check(
    reading: Reading, near: float = NEAR, tokenizer: Tokenizer | None = None, listener: Listener | None = None
) -> Audit:
    """Looks for leaks between splits, within each task and across tasks.

    Args:
        reading: the rows.
        near: the Jaccard similarity from which texts count as near, 0.6 to 1; 0: near rows are not looked for.
        tokenizer: of the encoder, for lengths; None: these are left out.
        listener: hears how many of the texts of dev, select and test have been compared.
    """
    parts, texts = parts_of(reading.tasks)
    compared = [(target, source) for target in parts for source in parts if _gives_away(source, target)]
    neighbours = _neighbours(compared, texts, near, listener or Listener()) if near else {}
    overlaps = [overlap(target, source, neighbours, len(texts)) for target, source in compared]
    # Another task's train is worth a line only where something of the target stands in it.
    told = [
        found for found in overlaps if found.target.task == found.source.task or found.shared.any() or found.any.any()
    ]
    return Audit(reading, parts, told, near, tokenizer)


def _gives_away(source: Part, target: Part) -> bool:
    """Whether rows of the target that stand in the source are a leak."""
    of_train = source.split == "train" and target.split != "train"
    return of_train or (source.split == "dev" and target.split == "test" and source.task == target.task)


def _neighbours(
    compared: Sequence[tuple[Part, Part]], texts: Sequence[str], near: float, listener: Listener
) -> Neighbours:
    """The near texts of every text that stands in a target."""
    sides = [np.unique(np.concatenate([pair[side].texts.reshape(-1) for pair in compared])) for side in (0, 1)]
    found: defaultdict[int, set[int]] = defaultdict(set)
    listener.doing("looking for near rows")
    listener.begin(len(sides[0]))
    for one, other in zip(*near_texts(texts, sides[0], sides[1], near, listener.advance), strict=True):
        found[int(one)].add(int(other))
    return found


def _leak(found: Overlap) -> dict[str, Any]:
    """The counts of an overlap."""
    return {
        "task": found.target.task,
        "split": found.target.split,
        "from_task": found.source.task,
        "from_split": found.source.split,
        "rows": len(found.target.rows),
        "exact": int((found.exact >= 0).sum()),
        "letters": int(found.letters.sum()),
        "near": int((found.near >= 0).sum()),
        "transitive": len(found.chains),
        "any": int(found.any.sum()),
        "shared": int(found.shared.sum()),
    }
