"""Steps, stages, evaluation, snapshots: from a recipe to a finished run."""

from minbert.training.progress import Listener
from minbert.training.train import train
from minbert.training.trainer import Interrupted

__all__ = ["Interrupted", "Listener", "train"]
