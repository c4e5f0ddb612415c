"""Outputs and labels to one number. A new loss: one file here, one name in `AnyLoss`."""

from typing import Annotated

from minbert.losses.binary import BinaryCrossEntropy
from minbert.losses.cross_entropy import CrossEntropy
from minbert.losses.distill import Distill
from minbert.losses.distill_vectors import SimilarityPreserving
from minbert.losses.gold_share import ConstantShare, GoldShare, TeacherAnnealing
from minbert.losses.loss import Loss, Targets
from minbert.losses.ranking import MultipleNegativesRanking
from minbert.losses.squared_error import SquaredError
from minbert.values import Family

AnyLoss = Annotated[
    Loss,
    Family(CrossEntropy, BinaryCrossEntropy, SquaredError, MultipleNegativesRanking, Distill, SimilarityPreserving),
]

__all__ = [
    "AnyLoss",
    "BinaryCrossEntropy",
    "ConstantShare",
    "CrossEntropy",
    "Distill",
    "GoldShare",
    "Loss",
    "MultipleNegativesRanking",
    "SimilarityPreserving",
    "SquaredError",
    "Targets",
    "TeacherAnnealing",
]
