"""Several runs that belong together: seeds, arms, a search for settings."""

from minbert.experiments.best import write_recipe
from minbert.experiments.claims import Claim, claimed
from minbert.experiments.experiment import Experiment, read_experiment
from minbert.experiments.folder import Job, check_jobs, check_place, jobs_of, settle
from minbert.experiments.inputs import Given, check_inputs
from minbert.experiments.ranges import Setting, Space, read_space
from minbert.experiments.search import Search, Trial
from minbert.experiments.seeds import parse_seeds
from minbert.experiments.work import Attempt, run_all, run_one

__all__ = [
    "Attempt",
    "Claim",
    "Experiment",
    "Given",
    "Job",
    "Search",
    "Setting",
    "Space",
    "Trial",
    "check_inputs",
    "check_jobs",
    "check_place",
    "claimed",
    "jobs_of",
    "parse_seeds",
    "read_experiment",
    "read_space",
    "run_all",
    "run_one",
    "settle",
    "write_recipe",
]
