"""R-Drop: two passes with different dropout masks should agree."""

from typing import Literal

from minbert.outputs import Outputs
from minbert.regularizers.again import Again
from minbert.regularizers.divergence import divergence
from minbert.regularizers.regularizer import Memory, Penalty, Regularizer


class RDrop(Regularizer):
    """`mean_i (KL(p_1, p_2) + KL(p_2, p_1)) / 2` over two passes, and the task's loss is the mean of both passes'.

    For ratings `(a_1 - a_2)^2` stands in place of the KL.

    Source: Liang et al. 2021, equations 2 to 4 (a `weight` of w is their alpha of 2 w).
    Deviates: there the two losses are summed, here they are averaged, so that the loss keeps its scale.
    """

    kind: Literal["r_drop"] = "r_drop"

    def __call__(self, outputs: Outputs, again: Again, state: Memory) -> Penalty:
        """The mean over the rows, and the second pass, whose loss counts too."""
        second = again(mask=1)
        both = divergence(again.kind, outputs.scores, second.scores).mean()
        return Penalty(both if again.kind == "rating" else both / 2, (second,))
