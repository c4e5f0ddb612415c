"""What of one split stands in another: equal rows, near rows, pairs that follow, shared texts."""

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from minbert.audit.links import chains
from minbert.audit.parts import Part
from minbert.tasks.clusters import Numbers
from minbert.tasks.leaks import linked

Mask = npt.NDArray[np.bool_]
Neighbours = Mapping[int, Set[int]]
"""For each text the texts that are near it."""


@dataclass(frozen=True)
class Overlap:
    """What of a split can be had from another one.

    Attributes:
        target: the split that scores are reported or selected on.
        source: the split that gives its rows away.
        exact: for each row of the target the first row of the source with the same words, in either order; -1: none.
        letters: which of these are also the same letter for letter.
        near: the first row of the source that is near it, where none is equal; -1: none.
        chains: for each positive pair of the target that follows from the source, the rows from which it follows.
        shared: rows of the target with a text that stands in the source.
        giving: rows of the source that are equal or near to a row of the target: `exact`, `near` or nothing.
    """

    target: Part
    source: Part
    exact: Numbers
    letters: Mask
    near: Numbers
    chains: Mapping[int, Sequence[int]]
    shared: Mask
    giving: Mapping[int, tuple[str, int]]

    @property
    def any(self) -> Mask:
        """Rows of the target that leak in one way or another."""
        leaked: Mask = (self.exact >= 0) | (self.near >= 0)
        leaked[list(self.chains)] = True
        return leaked


def overlap(target: Part, source: Part, neighbours: Neighbours, size: int) -> Overlap:
    """Compares two splits of one task or of two.

    Args:
        target: the split to look for.
        source: where to look.
        neighbours: for the target's texts, the texts of the source that are near.
        size: how many texts are numbered.
    """
    first = dict(zip(source.keys[::-1].tolist(), range(len(source.keys) - 1, -1, -1), strict=True))
    exact = np.array([first.get(key, -1) for key in target.keys.tolist()], dtype=np.int64)
    near, giving = _near(target, source, neighbours, exact)
    first_target = {key: row for row, key in reversed(list(enumerate(target.keys.tolist())))}
    for row in np.flatnonzero(np.isin(source.keys, target.keys)).tolist():
        giving[row] = ("exact", first_target[int(source.keys[row])])
    shared = np.logical_or.reduce(np.isin(target.texts, source.texts), axis=1)
    follows = _chains(target, source, size)
    return Overlap(target, source, exact, _letters(target, source, exact), near, follows, shared, giving)


def _letters(target: Part, source: Part, exact: Numbers) -> Mask:
    """Rows of the target that stand letter for letter in the source, in either order."""
    rows = np.flatnonzero(np.isin(source.keys, target.keys[exact >= 0]))
    known = {frozenset(column[row] for column in source.rows.columns) for row in rows.tolist()}
    found = np.zeros(len(exact), dtype=bool)
    for row in np.flatnonzero(exact >= 0).tolist():
        found[row] = frozenset(column[row] for column in target.rows.columns) in known
    return found


def _near(
    target: Part, source: Part, neighbours: Neighbours, exact: Numbers
) -> tuple[Numbers, dict[int, tuple[str, int]]]:
    """For rows of the target the first near row of the source, and all those that are near and not equal.

    A pair is near another one if each of its texts equals or is near a text of the other, in either order.
    """
    near = np.full(len(target.keys), -1, dtype=np.int64)
    giving: dict[int, tuple[str, int]] = {}
    if not neighbours or target.texts.shape[1] != source.texts.shape[1]:
        return near, giving
    standing = defaultdict(list)
    for row, text in enumerate(source.texts[:, 0].tolist()):
        standing[text].append((row, int(source.texts[row, -1])))
    if source.texts.shape[1] == 2:
        for row, text in enumerate(source.texts[:, 1].tolist()):
            standing[text].append((row, int(source.texts[row, 0])))
    for row, (key, texts) in enumerate(zip(target.keys.tolist(), target.texts.tolist(), strict=True)):
        one, other = ({text, *neighbours.get(text, ())} for text in (texts[0], texts[-1]))
        if len(one) == len(other) == 1:
            continue
        found = {r for text in one for r, beside in standing.get(text, ()) if beside in other and source.keys[r] != key}
        if found:
            giving.update(dict.fromkeys(found - giving.keys(), ("near", row)))
            near[row] = -1 if exact[row] >= 0 else min(found)
    return near, giving


def _chains(target: Part, source: Part, size: int) -> dict[int, Sequence[int]]:
    """Positive pairs of the target that follow from positive pairs of the source, with the rows that say so."""
    if target.task != source.task or not target.says_yes:
        return {}
    yes, links = target.rows.labels.numpy() == 1, np.flatnonzero(source.rows.labels.numpy() == 1)
    rows = np.flatnonzero(linked(target.texts, yes, source.texts[links], size))
    found = chains(target.texts[rows], source.texts[links])
    return {row: links[chain].tolist() for row, chain in zip(rows.tolist(), found, strict=True)}
