"""Which nodes of a graph hang together."""

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]


def clusters(left: Numbers, right: Numbers, size: int) -> Numbers:
    """For each of `size` nodes the number of its connected component; edges go from `left` to `right`."""
    # Not above: nobody who only predicts should wait for this import.
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    graph = coo_matrix((np.ones(len(left), dtype=np.int8), (left, right)), shape=(size, size))
    found: Numbers = connected_components(graph, directed=False)[1].astype(np.int64)
    return found
