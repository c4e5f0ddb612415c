"""Large tasks come more often than small ones, but not by as much as they are larger."""

from typing import Any, Literal

from torch import Tensor

from minbert.mixtures.mixture import Ahead, Mixture, by_rows


class SquareRoot(Mixture):
    """`p_i ~ N_i^(1/2)`, N_i the rows of task i's epoch; in random order.

    Source: Stickland and Murray 2019, "Sampling tasks".
    Deviates: an epoch has the number of each task's batches that comes nearest to p_i, at least one, instead of draws.
    """

    kind: Literal["square_root"] = "square_root"

    def frequencies(self, ahead: Ahead, state: dict[str, Any]) -> Tensor:
        """`N_i^(1/2)`."""
        return by_rows(ahead).sqrt()
