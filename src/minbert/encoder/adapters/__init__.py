"""Small parts that are trained beside the encoder. A new adapter: one file here, one name in `AnyAdapter`."""

from typing import Annotated

from minbert.encoder.adapters.adapter import Adapter, TaskAdapter
from minbert.encoder.adapters.beside import Beside
from minbert.encoder.adapters.lora import Lora, LowRank, fold, folded, low_rank_parameters
from minbert.encoder.adapters.pal import Pal, ProjectedAttention
from minbert.values import Family

AnyAdapter = Annotated[Adapter, Family(Lora, Pal)]

__all__ = [
    "Adapter",
    "AnyAdapter",
    "Beside",
    "Lora",
    "LowRank",
    "Pal",
    "ProjectedAttention",
    "TaskAdapter",
    "fold",
    "folded",
    "low_rank_parameters",
]
