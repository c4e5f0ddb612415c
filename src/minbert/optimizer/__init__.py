"""AdamW, its parameter groups, and schedules."""

from minbert.optimizer.adamw import AdamW
from minbert.optimizer.groups import AdamWSpec, AnyOptimizer, Optimizer
from minbert.optimizer.schedules import AnySchedule, Constant, Cosine, Linear, Schedule

__all__ = [
    "AdamW",
    "AdamWSpec",
    "AnyOptimizer",
    "AnySchedule",
    "Constant",
    "Cosine",
    "Linear",
    "Optimizer",
    "Schedule",
]
