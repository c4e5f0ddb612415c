"""The outputs of a whole batch, where several processes have each made some of them."""

import minbert.distributed as distributed
from minbert.outputs import Outputs


def gathered(mine: Outputs, rows: int) -> Outputs:
    """The outputs of all rows of a batch, where other processes have made some of them."""
    return Outputs(distributed.whole(mine.scores, rows), tuple(distributed.whole(v, rows) for v in mine.vectors))
