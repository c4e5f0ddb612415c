"""Which task comes next. A new mixture: one file here, one name in `AnyMixture`."""

from typing import Annotated

from minbert.mixtures.annealed import Annealed
from minbert.mixtures.fixed import Fixed
from minbert.mixtures.mixture import Ahead, Mixture
from minbert.mixtures.progress import Progress
from minbert.mixtures.proportional import Proportional
from minbert.mixtures.round_robin import RoundRobin
from minbert.mixtures.sequential import Sequential
from minbert.mixtures.square_root import SquareRoot
from minbert.mixtures.temperature import Temperature
from minbert.values import Family

AnyMixture = Annotated[
    Mixture, Family(Sequential, RoundRobin, Proportional, SquareRoot, Temperature, Annealed, Fixed, Progress)
]

__all__ = [
    "Ahead",
    "Annealed",
    "AnyMixture",
    "Fixed",
    "Mixture",
    "Progress",
    "Proportional",
    "RoundRobin",
    "Sequential",
    "SquareRoot",
    "Temperature",
]
