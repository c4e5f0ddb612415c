"""From the losses of several tasks to a factor on each. A new weighting: one file here, one name in `AnyWeighting`."""

from typing import Annotated

from minbert.gradients.weightings.dwa import DWA
from minbert.gradients.weightings.equal import Equal
from minbert.gradients.weightings.famo import FAMO
from minbert.gradients.weightings.gradnorm import GradNorm
from minbert.gradients.weightings.uncertainty import Uncertainty
from minbert.gradients.weightings.weighting import Seen, Weighting
from minbert.values import Family

AnyWeighting = Annotated[Weighting, Family(Equal, Uncertainty, DWA, FAMO, GradNorm)]

__all__ = ["DWA", "FAMO", "AnyWeighting", "Equal", "GradNorm", "Seen", "Uncertainty", "Weighting"]
