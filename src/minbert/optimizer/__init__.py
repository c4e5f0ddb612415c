"""AdamW, its parameter groups, schedules, and averages of the weights."""

from minbert.optimizer.adamw import AdamW
from minbert.optimizer.average import AnyAverage, Average, Ema, exchanged
from minbert.optimizer.groups import AdamWSpec, AnyOptimizer, Optimizer
from minbert.optimizer.schedules import AnySchedule, Constant, Cosine, Linear, Schedule

__all__ = [
    "AdamW",
    "AdamWSpec",
    "AnyAverage",
    "AnyOptimizer",
    "AnySchedule",
    "Average",
    "Constant",
    "Cosine",
    "Ema",
    "Linear",
    "Optimizer",
    "Schedule",
    "exchanged",
]
