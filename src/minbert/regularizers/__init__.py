"""Against learning train by heart. A new regularizer: one file here, one name in `AnyRegularizer`."""

from typing import Annotated

from minbert.regularizers.again import Again
from minbert.regularizers.bregman import Bregman
from minbert.regularizers.divergence import divergence
from minbert.regularizers.r_drop import RDrop
from minbert.regularizers.regularizer import Memory, Penalty, Regularizer
from minbert.regularizers.simcse import SimCSE
from minbert.regularizers.smart import Smart
from minbert.regularizers.smart_released import SmartReleased
from minbert.values import Family

AnyRegularizer = Annotated[Regularizer, Family(Smart, SmartReleased, Bregman, RDrop, SimCSE)]

__all__ = [
    "Again",
    "AnyRegularizer",
    "Bregman",
    "Memory",
    "Penalty",
    "RDrop",
    "Regularizer",
    "SimCSE",
    "Smart",
    "SmartReleased",
    "divergence",
]
