"""Runs beside each other: arms, differences, and what to call them."""

from minbert.comparison.arms import Arm, read_arms
from minbert.comparison.compare import Against, ArmScores, Comparison, Contrast, compare
from minbert.comparison.finished import FinishedRun, read_finished
from minbert.comparison.notes import notes
from minbert.comparison.sampled import draws_of
from minbert.comparison.sentence import sentence

__all__ = [
    "Against",
    "Arm",
    "ArmScores",
    "Comparison",
    "Contrast",
    "FinishedRun",
    "compare",
    "draws_of",
    "notes",
    "read_arms",
    "read_finished",
    "sentence",
]
