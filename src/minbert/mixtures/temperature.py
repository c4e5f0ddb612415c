"""Between as large as tasks are and all alike."""

from typing import Any, Literal

from pydantic import Field
from torch import Tensor

from minbert.mixtures.mixture import Ahead, Mixture, by_rows


class Temperature(Mixture):
    """`p_i ~ N_i^(1/T)`, N_i the rows of task i's epoch; in random order.

    Attributes:
        temperature: T, 1 or more: 1 is by size, 2 the square root, a very large one all alike.

    Source: Arivazhagan et al. 2019; Raffel et al. 2020, section 3.5.2.
    Deviates: an epoch has the number of each task's batches that comes nearest to p_i, at least one, instead of draws.
    """

    kind: Literal["temperature"] = "temperature"
    temperature: float = Field(default=5.0, ge=1)

    def frequencies(self, ahead: Ahead, state: dict[str, Any]) -> Tensor:
        """`N_i^(1/T)`."""
        return by_rows(ahead) ** (1 / self.temperature)
