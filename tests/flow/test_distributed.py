"""Two processes under torchrun do what one does; a killed one ends the other, by name, and the run can go on."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.conftest import toy_table

from minbert import train
from minbert.gradients import AnyMerge, AnyWeighting
from minbert.recipe import check_recipe
from minbert.runs import read_lines

# One job for torchrun: runs several recipes, one after the other. With a word and a number, this process kills itself
# when it comes to that piece of work for the n-th time.
JOB = """
import json, os, signal, sys
from pathlib import Path
import torch
from minbert import train
from minbert.gradients import AnyMerge, AnyWeighting
from minbert.distributed import together
from minbert.errors import MinbertError
from minbert.recipe import check_recipe
from minbert.training import Listener

torch.set_num_threads(1)
jobs = json.loads(Path(sys.argv[1]).read_text())
rank = int(os.environ["RANK"])

class Ear(Listener):
    def __init__(self, left):
        self.left = left
    def advance(self, work):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

try:
    with together(torch.device("cpu")):
        for table, home, run, resume, kill in jobs:
            ear, recipe = Ear(kill if rank == 1 else 0), check_recipe(table, Path(home))
            train(recipe, run, resume=resume, listener=ear, with_floors=False, snapshot_seconds=0)
except MinbertError as error:
    print(f"rank {rank}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
    sys.exit(1)
"""

Start = Callable[[list[Any]], "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts two processes on a list of jobs."""
    begun: list[subprocess.Popen[str]] = []

    def run(jobs: list[Any]) -> "subprocess.Popen[str]":
        (tmp_path / "job.py").write_text(JOB)
        (tmp_path / "jobs.json").write_text(json.dumps(jobs))
        launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "USE_LIBUV": "0"}
        command = [*launcher, str(tmp_path / "job.py"), str(tmp_path / "jobs.json")]
        both: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        begun.append(subprocess.Popen(command, env=environment, start_new_session=True, **both))
        return begun[-1]

    yield run
    for process in begun:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def finish(process: "subprocess.Popen[str]") -> str:
    told, _ = process.communicate(timeout=240)
    assert process.returncode == 0, told[-3000:]
    return told


def weights(run: Path) -> dict[str, torch.Tensor]:
    found = {f"encoder.{k}": v for k, v in load_file(run / "last" / "encoder" / "model.safetensors").items()}
    parts = [part for part in ("heads", "adapters") if (run / "last" / f"{part}.safetensors").exists()]
    return found | {
        f"{part}.{k}": v for part in parts for k, v in load_file(run / "last" / f"{part}.safetensors").items()
    }


def exact(encoder: Path, **stage: Any) -> dict[str, Any]:
    """A recipe without dropout, whose batches have odd numbers of rows, one of them a single row."""
    adapters = stage.pop("adapters", [])
    table = toy_table(encoder, **{"epochs": 1, "batch": 15, "samples": 31, **stage})
    table["encoder"] |= {"dropout": 0.0, "adapters": adapters}
    for task in table["tasks"].values():
        task["head"] = {"kind": "linear", "dropout": 0.0}
    return table


STAGES: dict[str, dict[str, Any]] = {
    "proportional": {},
    "sequential": {"mixture": "sequential"},
    "round robin, accumulated": {"mixture": "round_robin", "batches_per_step": 6, "conflicts_every": 1},
    "surgery": {"mixture": "round_robin", "batches_per_step": 3, "merge": "pcgrad", "conflicts_every": 1},
    "coupled": {"losses": {"questions": ["bce", "mnr"], "similarity": ["mse", "mnr"]}},
    "ordered": {
        "losses": {"questions": ["bce", "cosent", "angle"], "similarity": ["mse", "pearson", "cosent"]},
        "mixture": {"kind": "annealed", "final": 0.0},
        "epochs": 2,
    },
    "progress": {"mixture": "progress", "epochs": 2, "losses": {"sentiment": ["class_balanced", "squared_emd"]}},
    "frozen": {"update": ["heads"]},
    "regularized": {
        "regularizers": [
            *("smart_released", "bregman", "r_drop", "simcse"),
            *("smart", {"kind": "smart", "epsilon": 0.1}),
        ],
        "average": {"kind": "ema", "decay": 0.9},
        "optimizer": {"kind": "adamw", "memory": "shared", "towards": "start", "weight_decay": 1.0},
    },
    "adapters": {"adapters": ["lora", {"kind": "pal", "width": 8, "heads": 2}], "unfreeze": 0.5, "lr_decay": 0.8},
    "shared memory": {"optimizer": {"kind": "adamw", "memory": "shared"}, "epochs": 2},
}


def combined(encoder: Path) -> dict[str, Any]:
    """A stage of two steps for every merge, each with one of the weightings in turn."""
    table = exact(encoder, losses=STAGES["coupled"]["losses"], mixture="round_robin", batches_per_step=3, lr=1e-4)
    for task in table["tasks"].values():
        task["limit"] = 14
    merges, weightings = (list(family.__metadata__[0].members) for family in (AnyMerge, AnyWeighting))  # type: ignore[attr-defined]
    table["stages"] = {
        merge: {
            **table["stages"]["train"],
            "batch": 7,
            "merge": merge,
            "weighting": weightings[place % len(weightings)],
        }
        for place, merge in enumerate(merges)
    }
    for stage in table["stages"].values():
        stage["epochs"] = 3 if stage["weighting"] == "dwa" else 1
    return table


def test_two_processes_are_one_within_1e_6(tiny_bert: Path, toy_data: Path, tmp_path: Path, start: Start) -> None:
    tables = {name: exact(tiny_bert, **stage) for name, stage in STAGES.items()}
    tables["progress"]["select"] = {"on": 0.25, "calibrate": True}
    train(check_recipe(exact(tiny_bert), toy_data), tmp_path / "teacher", with_floors=False)
    taught = {"sentiment": "distill", "questions": ["bce", "distill_vectors"]}
    teachers = {"sentiment": str(tmp_path / "teacher"), "questions": str(tiny_bert)}
    tables["taught"] = exact(tiny_bert, losses=taught, teachers=teachers)
    tables["combined"] = combined(tiny_bert)
    two = start([(table, str(toy_data), str(tmp_path / "two" / name), False, 0) for name, table in tables.items()])
    for name, table in tables.items():
        train(check_recipe(table, toy_data), tmp_path / "one" / name, with_floors=False)
    finish(two)
    for name in tables:
        one, both = weights(tmp_path / "one" / name), weights(tmp_path / "two" / name)
        away = {key: float((one[key] - both[key]).abs().max()) for key in one}
        assert {key: value for key, value in away.items() if not value <= 1e-6} == {}, name
        lines = [read_lines(tmp_path / who / name / "metrics.jsonl")[-1] for who in ("one", "two")]
        for task, scores in lines[0]["dev"].items():
            assert scores == pytest.approx(lines[1]["dev"][task], abs=1e-5), name
        compared = [read_lines(tmp_path / who / name / "conflicts.jsonl") for who in ("one", "two")]
        assert len(compared[0]) == len(compared[1]) and bool(compared[0]) == ("conflicts_every" in STAGES.get(name, {}))
        for first, second in zip(*compared, strict=True):
            assert first["tasks"] == second["tasks"] and len(first["tasks"]) > 1
            assert first["cosines"]["all"] == pytest.approx(second["cosines"]["all"], abs=1e-4), name
    models = [json.loads((tmp_path / who / "progress/best/model.json").read_text()) for who in ("one", "two")]
    for task, line in models[0]["calibration"].items():
        assert line == pytest.approx(models[1]["calibration"][task], abs=1e-3), task


def test_a_killed_process_ends_the_other_and_the_run_goes_on_exactly(
    tiny_bert: Path, toy_data: Path, tmp_path: Path, start: Start
) -> None:
    table, runs = toy_table(tiny_bert), [tmp_path / "whole", tmp_path / "killed"]
    # Each process holds its share of the optimizer's memory; a snapshot holds all of it.
    table["stages"]["train"]["optimizer"] = {"kind": "adamw", "memory": "shared"}
    finish(start([(table, str(toy_data), str(runs[0]), False, 0)]))
    begin = time.monotonic()
    killed = start([(table, str(toy_data), str(runs[1]), False, 11)])
    told, _ = killed.communicate(timeout=120)
    assert killed.returncode != 0 and time.monotonic() - begin < 60
    assert "rank 0: TrainingError: process 0 of 2: another process of this run has gone" in told, told
    assert (runs[1] / "snapshot").is_dir() and not (runs[1] / "result.json").exists()
    finish(start([(table, str(toy_data), str(runs[1]), True, 0)]))
    for name in ("metrics.jsonl", "result.json", "best/heads.safetensors", "best/encoder/model.safetensors"):
        assert (runs[0] / name).read_bytes() == (runs[1] / name).read_bytes(), name
