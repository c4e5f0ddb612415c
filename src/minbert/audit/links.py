"""What follows from train's positive pairs by A = B, B = C: the chain, and what to leave out so that it breaks."""

from collections import defaultdict

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import DisjointSet
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import breadth_first_order

from minbert.tasks.clusters import Numbers

Mask = npt.NDArray[np.bool_]


def chains(pairs: Numbers, links: Numbers, size: int) -> list[list[int]]:
    """For each pair that follows from links, a shortest chain of them, as row numbers of `links`.

    Args:
        pairs: (rows, 2), numbers of texts that hang together; the chain of a text beside itself is empty.
        links: (rows, 2), numbers of texts.
        size: how many texts are numbered.
    """
    named: dict[tuple[int, int], int] = {}
    for row, (a, b) in enumerate(links.tolist()):
        named.setdefault((min(a, b), max(a, b)), row)
    graph = coo_matrix((np.ones(len(links), dtype=np.int8), (links[:, 0], links[:, 1])), shape=(size, size)).tocsr()
    found: list[list[int]] = [[] for _ in pairs]
    before = np.zeros(0, dtype=np.int32)
    start = -1
    for number in np.argsort(pairs[:, 0], kind="stable").tolist():
        a, b = pairs[number].tolist()
        if a != start:
            start, before = a, breadth_first_order(graph, a, directed=False)[1]
        while b != a:
            step = int(before[b])
            found[number].append(named[min(b, step), max(b, step)])
            b = step
        found[number].reverse()
    return found


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
