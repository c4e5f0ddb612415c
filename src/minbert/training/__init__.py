"""Steps, stages, evaluation, snapshots: from a recipe to a finished run."""

from minbert.training.progress import Listener, Several
from minbert.training.start import Start, continued, read_start
from minbert.training.train import train
from minbert.training.trainer import Interrupted

__all__ = ["Interrupted", "Listener", "Several", "Start", "continued", "read_start", "train"]
