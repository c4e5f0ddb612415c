"""AnglE: CoSENT with an angle in complex space for the cosine, whose gradient vanishes near 1 and -1."""

from typing import Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from minbert.losses.loss import Loss, Targets
from minbert.losses.order import order_loss
from minbert.outputs import Outputs
from minbert.shapes import Scalar


class AnglE(Loss):
    """`log(1 + sum over rows with y_i < y_j of exp(s (angle_i - angle_j)))`.

    A vector is read as complex numbers, its first half the real parts, its second half the imaginary ones;
    `angle = |Re q + Im q|` with `q = sum_k z_k conj(w_k) / (|z| |w|)`: the cosine is Re q.

    Attributes:
        scale: s, above 0.

    Source: Li and Li 2023, "AnglE-optimized Text Embeddings", the angle objective, as their code has it.
    Deviates: the paper's formula subtracts the other way round and calls a difference of angles what here, as in the
    authors' code and sentence-transformers, is the larger the more alike two texts are. The cosine and in-batch terms
    of the paper's objective are losses of their own here: `["cosent", "mnr", "angle"]`.
    """

    kinds = frozenset({"yes_no", "rating"})
    reads = "vectors"
    kind: Literal["angle"] = "angle"
    scale: float = Field(default=20.0, gt=0)

    def __call__(self, outputs: Outputs, targets: Targets) -> Scalar:
        """One number for all pairs of rows; 0 where all labels are equal."""
        z, w = (_halves(F.normalize(vectors.float(), dim=-1)) for vectors in outputs.vectors)
        real = (z[0] * w[0] + z[1] * w[1]).sum(1)
        imaginary = (z[1] * w[0] - z[0] * w[1]).sum(1)
        return order_loss(self.scale * (real + imaginary).abs(), targets.labels)


def _halves(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Real and imaginary parts; an odd width gets a zero more."""
    first, second = F.pad(vectors, (0, vectors.shape[1] % 2)).chunk(2, dim=1)
    return first, second
