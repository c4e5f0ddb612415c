"""`minbert report`: one self-contained HTML page of a run or of an experiment."""

from minbert.reporting.page.embedding import map_of, no_map_of
from minbert.reporting.page.experiment import compared, experiment_page, read_experiment
from minbert.reporting.page.material import gather
from minbert.reporting.page.page import run_page

__all__ = ["compared", "experiment_page", "gather", "map_of", "no_map_of", "read_experiment", "run_page"]
