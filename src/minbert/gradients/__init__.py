"""From the gradients of several tasks to one. A new merge: one file here, one name in `AnyMerge`."""

from typing import Annotated

from minbert.gradients.aligned_mtl import AlignedMTL
from minbert.gradients.cagrad import CAGrad
from minbert.gradients.conflict import cosines, group_grams
from minbert.gradients.fairgrad import FairGrad
from minbert.gradients.gradvac import GradVac
from minbert.gradients.imtl_g import IMTLG
from minbert.gradients.mean import Mean
from minbert.gradients.merge import Merge
from minbert.gradients.mgda import MGDA
from minbert.gradients.nash_mtl import NashMTL
from minbert.gradients.pcgrad import PCGrad
from minbert.gradients.per_task import TaskGradients, add_gradients, norm_of, summed
from minbert.gradients.sum import Sum
from minbert.gradients.upgrad import UPGrad
from minbert.gradients.weightings import AnyWeighting, Equal, Seen, Weighting
from minbert.values import Family

AnyMerge = Annotated[
    Merge, Family(Sum, Mean, PCGrad, GradVac, CAGrad, MGDA, IMTLG, AlignedMTL, FairGrad, NashMTL, UPGrad)
]

__all__ = [
    "IMTLG",
    "MGDA",
    "AlignedMTL",
    "AnyMerge",
    "AnyWeighting",
    "CAGrad",
    "Equal",
    "FairGrad",
    "GradVac",
    "Mean",
    "Merge",
    "NashMTL",
    "PCGrad",
    "Seen",
    "Sum",
    "TaskGradients",
    "UPGrad",
    "Weighting",
    "add_gradients",
    "cosines",
    "group_grams",
    "norm_of",
    "summed",
]
