"""minbert: one small BERT, many sentence tasks.

Importing it is quick: torch is loaded when a name that needs it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minbert.inference import Prediction as Prediction
    from minbert.inference import Predictor as Predictor
    from minbert.inference import SentenceEncoder as SentenceEncoder
    from minbert.inference import load as load
    from minbert.inference import load_encoder as load_encoder
    from minbert.optimizer import AdamW as AdamW
    from minbert.recipe import Recipe as Recipe
    from minbert.training.train import train as train

__version__ = "0.1.0"

_HOMES = {
    "AdamW": "minbert.optimizer",
    "Prediction": "minbert.inference",
    "Predictor": "minbert.inference",
    "Recipe": "minbert.recipe",
    "SentenceEncoder": "minbert.inference",
    "load": "minbert.inference",
    "load_encoder": "minbert.inference",
    "train": "minbert.training.train",
}

__all__ = ["AdamW", "Prediction", "Predictor", "Recipe", "SentenceEncoder", "load", "load_encoder", "train"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'minbert' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
