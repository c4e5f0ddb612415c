"""Distillation of embeddings: texts should be as alike as the teacher holds them."""

from typing import Literal

import torch
import torch.nn.functional as F

from minbert.losses.loss import Loss, Targets
from minbert.outputs import Outputs
from minbert.shapes import Scalar


class SimilarityPreserving(Loss):
    """`mean (cos(s_i, s_j) - cos(t_i, t_j))^2` over all pairs among the 2n texts of a batch of n pairs.

    The cosines of the student's vectors against those of the teacher's embeddings, which may have any width: so a big
    encoder teaches a small one. No label is read.

    Source: Tung & Mori 2019, "Similarity-Preserving Knowledge Distillation", section 3.
    Deviates: the vectors have length 1, not the rows of the similarity matrix, so that what is matched are cosines; the
    diagonal, always 1, is left out.
    """

    kinds = frozenset({"classes", "yes_no", "rating"})
    reads = "vectors"
    asks = "vectors"
    kind: Literal["distill_vectors"] = "distill_vectors"

    def __call__(self, outputs: Outputs, targets: Targets) -> Scalar:
        """The mean over the pairs of texts."""
        assert targets.teacher_vectors, "a stage gives every task with this loss a teacher"
        ours, theirs = (
            F.normalize(torch.cat([part.float() for part in parts]), dim=-1)
            for parts in (outputs.vectors, targets.teacher_vectors)
        )
        row, column = torch.triu_indices(len(ours), len(ours), 1, device=ours.device)
        return F.mse_loss((ours @ ours.T)[row, column], (theirs @ theirs.T)[row, column])
