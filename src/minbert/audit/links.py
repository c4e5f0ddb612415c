"""What follows from train's positive pairs by A = B, B = C: the chain, and what to leave out so that it breaks."""

from collections import defaultdict, deque
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import DisjointSet

from minbert.tasks.clusters import Numbers

Mask = npt.NDArray[np.bool_]


def chains(pairs: Numbers, links: Numbers) -> list[list[int]]:
    """For each pair that follows from links, a shortest chain of them, as row numbers of `links`.

    Args:
        pairs: (rows, 2), numbers of texts that hang together; the chain of a text beside itself is empty.
        links: (rows, 2), numbers of texts.
    """
    beside: defaultdict[int, dict[int, int]] = defaultdict(dict)
    for row, (a, b) in enumerate(links.tolist()):
        beside[a].setdefault(b, row)
        beside[b].setdefault(a, row)
    return [_chain(a, b, beside) for a, b in pairs.tolist()]


def _chain(start: int, end: int, beside: Mapping[int, Mapping[int, int]]) -> list[int]:
    """A walk from one text outwards, until it meets the other."""
    # scipy's search allocates and checks the whole graph for each start; most clusters hold a handful of texts.
    came: dict[int, int] = {start: start}
    waiting = deque([start])
    while end not in came:
        text = waiting.popleft()
        for other in beside[text]:
            if other not in came:
                came[other] = text
                waiting.append(other)
    found = []
    while end != start:
        found.append(beside[came[end]][end])
        end = came[end]
    return found[::-1]


def without_chains(links: Numbers, pairs: Numbers) -> Mask:
    """Which links to keep so that no pair follows from them.

    Goes through the links in order and keeps each one unless, with those kept before it, it would join the two texts
    of a pair. So none that is left out could be kept beside the others.

    Args:
        links: (rows, 2), numbers of texts.
        pairs: (rows, 2): what must not follow. A text beside itself follows from any link of it.
    """
    groups = DisjointSet(np.unique(np.concatenate([links.reshape(-1), pairs.reshape(-1)])).tolist())
    apart: defaultdict[int, set[int]] = defaultdict(set)
    alone = {a for a, b in pairs.tolist() if a == b}
    for a, b in pairs.tolist():
        apart[a].add(b)
        apart[b].add(a)
    kept = np.ones(len(links), dtype=bool)
    for row, (a, b) in enumerate(links.tolist()):
        one, other = sorted((groups[a], groups[b]), key=lambda root: len(apart[root]))
        if a in alone or b in alone or any(groups[text] == other for text in apart[one]):
            kept[row] = False
            continue
        groups.merge(a, b)
        joined = apart[one] | apart[other]
        apart[groups[a]] = joined
    return kept
