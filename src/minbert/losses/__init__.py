"""Outputs and labels to one number. A new loss: one file here, one name in `AnyLoss`."""

from typing import Annotated

from minbert.losses.angle import AnglE
from minbert.losses.binary import BinaryCrossEntropy
from minbert.losses.class_balanced import ClassBalanced
from minbert.losses.cosent import CoSENT
from minbert.losses.cross_entropy import CrossEntropy
from minbert.losses.distill import Distill
from minbert.losses.distill_vectors import SimilarityPreserving
from minbert.losses.focal import Focal
from minbert.losses.gold_share import ConstantShare, GoldShare, TeacherAnnealing
from minbert.losses.loss import Loss, Targets
from minbert.losses.pearson import Pearson
from minbert.losses.ranking import MultipleNegativesRanking
from minbert.losses.squared_emd import SquaredEarthMover
from minbert.losses.squared_error import SquaredError
from minbert.values import Family

AnyLoss = Annotated[
    Loss,
    Family(
        CrossEntropy,
        BinaryCrossEntropy,
        SquaredError,
        MultipleNegativesRanking,
        CoSENT,
        AnglE,
        SquaredEarthMover,
        Focal,
        ClassBalanced,
        Pearson,
        Distill,
        SimilarityPreserving,
    ),
]

__all__ = [
    "AnglE",
    "AnyLoss",
    "BinaryCrossEntropy",
    "ClassBalanced",
    "CoSENT",
    "ConstantShare",
    "CrossEntropy",
    "Distill",
    "Focal",
    "GoldShare",
    "Loss",
    "MultipleNegativesRanking",
    "Pearson",
    "SimilarityPreserving",
    "SquaredEarthMover",
    "SquaredError",
    "Targets",
    "TeacherAnnealing",
]
