"""Which task comes next. A new mixture: one file here, one name in `AnyMixture`."""

from typing import Annotated

from minbert.mixtures.mixture import Mixture
from minbert.mixtures.proportional import Proportional
from minbert.mixtures.round_robin import RoundRobin
from minbert.mixtures.sequential import Sequential
from minbert.values import Family

AnyMixture = Annotated[Mixture, Family(Sequential, RoundRobin, Proportional)]

__all__ = ["AnyMixture", "Mixture", "Proportional", "RoundRobin", "Sequential"]
