"""Several runs that belong together: seeds, arms."""

from minbert.experiments.claims import Claim, claimed
from minbert.experiments.experiment import Experiment, read_experiment
from minbert.experiments.folder import Job, check_jobs, check_place, jobs_of, settle
from minbert.experiments.inputs import Given, check_inputs
from minbert.experiments.seeds import parse_seeds
from minbert.experiments.work import Attempt, run_all, run_one

__all__ = [
    "Attempt",
    "Claim",
    "Experiment",
    "Given",
    "Job",
    "check_inputs",
    "check_jobs",
    "check_place",
    "claimed",
    "jobs_of",
    "parse_seeds",
    "read_experiment",
    "run_all",
    "run_one",
    "settle",
]
