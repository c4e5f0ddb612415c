"""The axis legend: the shapes that stand in signatures.

| axis | meaning |
|---|---|
| `tokens` | the T real tokens of a pack, one sequence behind the other |
| `sequences` | the N sequences of a pack |
| `rows` | rows of a data file in a batch (a row may give one sequence or two) |
| `width` | the width of the encoder |
| `projected` | the width that a head projected to, or the encoder's |
| `outputs` | numbers per row that a head gives: classes, or one |
| `tasks` | tasks that take part in a step |

Tests check them at run time (jaxtyping + beartype); in production they cost nothing.
"""

from jaxtyping import Float, Int
from torch import Tensor

Ids = Int[Tensor, " tokens"]
Offsets = Int[Tensor, " sequences_plus_1"]
Hidden = Float[Tensor, "tokens width"]
Vectors = Float[Tensor, "sequences width"]
RowVectors = Float[Tensor, "rows width"]
Projected = Float[Tensor, "rows projected"]
Scores = Float[Tensor, "rows outputs"]
Labels = Float[Tensor, " rows"] | Int[Tensor, " rows"]
Scalar = Float[Tensor, ""]
Gram = Float[Tensor, "tasks tasks"]
Weights = Float[Tensor, " tasks"]
