"""Is a difference more than noise; is a probability what it says. Numbers in, numbers out."""

from minbert.statistics.bootstrap import DRAWS, bootstrap_interval, row_counts
from minbert.statistics.calibration import (
    Bin,
    equal_mass,
    equal_width,
    expected_calibration_error,
    fit_platt,
    fit_temperature,
    negative_log_likelihood,
    probabilities,
    reliability,
)
from minbert.statistics.detectable import ALPHA, smallest_difference
from minbert.statistics.estimate import Estimate
from minbert.statistics.holm import holm
from minbert.statistics.mcnemar import mcnemar
from minbert.statistics.paired_t import paired_t
from minbert.statistics.resampled import RESAMPLED
from minbert.statistics.two_way import Differences, two_way

__all__ = [
    "ALPHA",
    "DRAWS",
    "RESAMPLED",
    "Bin",
    "Differences",
    "Estimate",
    "bootstrap_interval",
    "equal_mass",
    "equal_width",
    "expected_calibration_error",
    "fit_platt",
    "fit_temperature",
    "holm",
    "mcnemar",
    "negative_log_likelihood",
    "paired_t",
    "probabilities",
    "reliability",
    "row_counts",
    "smallest_difference",
    "two_way",
]
