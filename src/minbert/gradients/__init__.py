"""From the gradients of several tasks to one. A new merge: one file here, one name in `AnyMerge`."""

from typing import Annotated

from minbert.gradients.conflict import cosines, group_grams
from minbert.gradients.merge import Merge
from minbert.gradients.pcgrad import PCGrad
from minbert.gradients.per_task import TaskGradients, add_gradients, summed
from minbert.gradients.sum import Sum
from minbert.values import Family

AnyMerge = Annotated[Merge, Family(Sum, PCGrad)]

__all__ = [
    "AnyMerge",
    "Merge",
    "PCGrad",
    "Sum",
    "TaskGradients",
    "add_gradients",
    "cosines",
    "group_grams",
    "summed",
]
