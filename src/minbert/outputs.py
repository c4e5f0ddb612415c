"""`Outputs`: what a head gives and a loss reads."""

from dataclasses import dataclass

from minbert.shapes import Projected, Scores


@dataclass(frozen=True)
class Outputs:
    """What a head gives for the rows of a batch.

    Attributes:
        scores: logits of classes, one logit for yes/no, or one number on the 0-1 scale for a rating; (rows, outputs).
        vectors: the two vectors of each pair, as the head projected them (else as they are pooled); empty where the
            texts did not stand apart in the pack.
    """

    scores: Scores
    vectors: tuple[Projected, ...] = ()
