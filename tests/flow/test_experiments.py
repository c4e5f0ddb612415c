"""Seeds, arms and searches as whole commands: shared by processes, killed, stopped, taken up again."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.flow.test_commands import Said

from minbert import train
from minbert.errors import MissingExtra
from minbert.experiments import Given, Search, jobs_of, read_experiment, read_space, run_all
from minbert.recipe import Recipe, load_recipe
from minbert.runs import Run
from minbert.storage import faults_of
from minbert.training import Interrupted, Listener

ARMS = """\
base = "base.toml"
seeds = "0-3"
[hold]
stages.train.epochs = 1
[arms]
plain = {}
slow = { stages.train.lr = 1e-4 }
"""

# Four processes work through an experiment; the first one dies by SIGKILL in the middle of its first run. Prints
# which process began which run, in order, and how each process ended.
FOUR = """
import json, os, signal, sys
from contextlib import contextmanager
from pathlib import Path
import scipy.stats, sklearn.linear_model, sklearn.metrics, torch, torch._dynamo
from minbert.experiments import Given, jobs_of, read_experiment, run_all, settle
from minbert.training import Listener

class Ear(Listener):
    heard = 0
    def advance(self, work):
        Ear.heard += 1
        if number == 0 and Ear.heard == 5:
            os.kill(os.getpid(), signal.SIGKILL)

def note(what, job):
    with open(sys.argv[2], "a") as file:
        file.write(json.dumps([what, number, str(job.folder)]) + "\\n")

@contextmanager
def listen(job):
    note("begin", job)
    yield Ear()
    note("end", job)

torch.set_num_threads(1)
experiment = read_experiment(Path(sys.argv[1]))
folder, children = Path("runs"), []
for number in range(4):
    child = os.fork()
    if not child:
        settle(experiment, folder)
        failures = [a.failure for a in run_all(jobs_of(experiment, folder), listen, Given()) if a.failure]
        os._exit(len(failures))
    children.append(child)
print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]))
"""


class Stopping(Listener):
    """Presses Ctrl-C once so much work has been done."""

    def __init__(self, after: int) -> None:
        self.left = after

    def advance(self, work: int) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGINT)


class Silent:
    """Gives a listener that stops a run, and then ones that do not."""

    def __init__(self, after: int = 0) -> None:
        self.after = after

    def __call__(self, *about: Any) -> "Silent":
        return self

    def __enter__(self) -> Listener:
        listener, self.after = Stopping(self.after), 0
        return listener

    def __exit__(self, *fault: object) -> None:
        pass


def contents(run: Path) -> dict[str, bytes]:
    """What must not depend on how a run came about."""
    names = ["metrics.jsonl", "recipe.toml", "result.json", "answers.safetensors", "best/heads.safetensors"]
    return {name: (run / name).read_bytes() for name in [*names, "best/encoder/model.safetensors"]}


@pytest.fixture
def home(toy_recipe: Recipe, toy_data: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of data and recipe, where the commands run."""
    (toy_data / "base.toml").write_text(toy_recipe.to_toml())
    (toy_data / "arms.toml").write_text(ARMS)
    monkeypatch.chdir(toy_data)
    return toy_data


class TestAblate:
    def test_four_processes_share_the_work_and_a_killed_ones_run_is_done_by_another(self, home: Path) -> None:
        pytest.importorskip("fcntl")
        words = [sys.executable, "-c", FOUR, "arms.toml", "log.jsonl"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        said = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=300)
        assert said.returncode == 0, said.stderr
        assert json.loads(said.stdout) == [-signal.SIGKILL, 0, 0, 0]
        log = [json.loads(line) for line in (home / "log.jsonl").read_text().splitlines()]
        ends = [folder for what, _, folder in log if what == "end"]
        begins = [folder for what, _, folder in log if what == "begin"]
        killed = next(folder for what, number, folder in log if number == 0)
        # Each run is done once; only the killed one is begun twice.
        assert sorted(ends) == sorted({*begins}) and len(ends) == 8
        assert sorted(begins) == sorted([*ends, killed])
        job = next(
            job for job in jobs_of(read_experiment(Path("arms.toml")), Path("runs")) if str(job.folder) == killed
        )
        train(job.recipe, "alone")
        assert contents(Path(killed)) == contents(Path("alone"))
        assert list(Path("runs").rglob(".*claim*")) == []

    def test_a_failed_arm_does_not_stop_the_rest_and_is_tried_again_only_when_asked(self, home: Path) -> None:
        text = ARMS.replace("0-3", "0-1").replace(
            "slow = { stages.train.lr = 1e-4 }", "hot = { stages.train.lr = 1e30 }"
        )
        (home / "arms.toml").write_text(text)
        planned = Said("ablate", "arms.toml", "--dry-run")
        assert planned.status == 0 and "4 runs, 0 done; about" in planned.text and not (home / "runs").exists()
        assert "arm hot: stage 'train', step" in planned.text and "hot 0 0 2 -" in planned.text
        said = Said("ablate", "arms.toml", "--run", "here")
        assert said.status == 1
        assert re.search(r"plain 0\.\d{3} 0\.\d{3} 0\.\d{3} 2/2 hot failed failed - 0/2", said.text), said.text
        assert "failed: hot, seed 0, 1: stage 'train', step" in said.text and "--retry does failed runs" in said.text
        failure = json.loads((home / "here" / "hot" / "seed-1" / "failed.json").read_text())
        assert failure["error"] == "TrainingError" and "the loss is nan" in failure["message"]
        again = Said("ablate", "arms.toml", "--run", "here")
        assert again.status == 1 and "hot, seed 0 (" not in again.text and "failed: hot, seed 0, 1" in again.text
        retried = Said("ablate", "arms.toml", "--run", "here", "--retry")
        assert retried.status == 1 and "hot, seed 0 (2 of 4 runs done" in retried.text
        assert "4 runs, 2 done" in Said("ablate", "arms.toml", "--run", "here", "--dry-run").text
        # Once repaired under a new name, it runs; what failed must be removed by hand.
        (home / "arms.toml").write_text(text.replace("hot", "warm").replace("1e30", "2e-4"))
        refused = Said("ablate", "arms.toml", "--run", "here")
        assert refused.status == 2 and "arm 'hot', which the experiment does not have any more" in refused.errors
        shutil.rmtree(home / "here" / "hot")
        assert Said("ablate", "arms.toml", "--run", "here").status == 0

    def test_after_ctrl_c_the_same_call_ends_in_the_same_bytes(self, home: Path) -> None:
        jobs = jobs_of(read_experiment(Path("arms.toml")), Path("runs"))[:2]
        with pytest.raises(Interrupted):
            list(run_all(jobs, Silent(after=4), Given()))
        assert [job.state for job in jobs] == ["begun", "new"]
        assert [attempt.job.arm for attempt in run_all(jobs, Silent(), Given())] == ["plain", "slow"]
        train(jobs[0].recipe, "alone")
        assert contents(jobs[0].folder) == contents(Path("alone"))
        # The second arm has taken over the first one's floors.
        floors = [(job.folder / "floors.json").read_bytes() for job in jobs]
        assert floors[0] == floors[1] == (home / "alone" / "floors.json").read_bytes()

    def test_floors_of_other_data_are_not_taken_over(self, home: Path) -> None:
        jobs = jobs_of(read_experiment(Path("arms.toml")), Path("runs"))[:2]
        work = run_all(jobs, Silent(), Given())
        assert next(work).failure == ""
        rows = (home / "sentiment-train.csv").read_text().splitlines()
        (home / "sentiment-train.csv").write_text("\n".join(rows[:-1]) + "\n")
        assert "are not those of runs/plain/seed-0: they have changed" in next(work).failure

    def test_a_fault_of_the_program_is_kept_whole_and_the_rest_goes_on(self, home: Path) -> None:
        class Broken(Silent):
            def __enter__(self) -> Listener:
                self.after += 1
                if self.after == 1:
                    raise LookupError("a fault of the program")
                return Listener()

        jobs = jobs_of(read_experiment(Path("arms.toml")), Path("runs"))[:2]
        assert [a.failure for a in run_all(jobs, Broken(), Given())] == ["LookupError: a fault of the program", ""]
        assert "Traceback" in json.loads((jobs[0].folder / "failed.json").read_text())["traceback"]

    def test_missing_files_are_named_before_anything_runs(self, home: Path) -> None:
        (home / "arms.toml").write_text(ARMS + "far = { tasks.sentiment.dev = 'far.csv', encoder.source = 'nope' }\n")
        (home / "questions-dev.csv").unlink()
        said = Said("ablate", "arms.toml")
        assert said.status == 2 and len(said.errors.splitlines()) == 3 and not (home / "runs").exists()
        for name in ("far.csv", "questions-dev.csv", "encoder 'nope'"):
            assert name in said.errors

    def test_processes_of_torchrun_are_refused(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WORLD_SIZE", "2")
        said = Said("ablate", "arms.toml")
        assert said.status == 2 and "expected one process, found several of torchrun" in said.errors

    def test_status_of_what_has_not_begun(self, home: Path) -> None:
        said = Said("ablate", "arms.toml", "--status")
        assert said.status == 0 and "plain - - - - - 0/4" in said.text and not (home / "runs").exists()


class TestSeeds:
    def test_each_seed_is_a_run_and_what_is_done_is_skipped(self, home: Path) -> None:
        quick = ("--set", "stages.train.epochs=1")
        train(load_recipe("base.toml", ["seed=1", "stages.train.epochs=1"]), "runs/base-seed-1")
        said = Said("train", "base.toml", "--seeds", "0-1", *quick)
        assert said.status == 0 and "base, seed 0 (1 of 2 runs done" in said.text and "base, seed 1 (" not in said.text
        raws = [Run(Path(f"runs/base-seed-{seed}")).read("result.json")["raw"] for seed in (0, 1)]
        assert f"raw mean {raws[0]:.3f} {raws[1]:.3f} {sum(raws) / 2:.3f}" in said.text
        other = Said("train", "base.toml", "--seeds", "0,1")
        assert other.status == 2 and other.errors.count("holds a run of another recipe") == 2

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["--seeds", "2-0"], "--seeds 2-0: expected seeds such as 0-4 or 0,2,5"),
            (["--seeds", "0-1", "--set", "seed=3"], "expected no seed beside --seeds"),
        ],
    )
    def test_what_is_refused(self, home: Path, words: list[str], said: str) -> None:
        refused = Said("train", "base.toml", *words)
        assert refused.status == 2 and said in refused.errors and not (home / "runs").exists()

    def test_dry(self, home: Path) -> None:
        said = Said("train", "base.toml", "--seeds", "0-4", "--dry-run")
        assert said.status == 0 and "that is one of 5 runs, 0 done" in said.text and not (home / "runs").exists()


TUNE = """
[tune]
stages.train.lr = { low = 1e-4, high = 1e-2, log = true }
stages.train.merge = ["sum", "pcgrad"]
stages.train.batches_per_step = { low = 2, high = 3 }
"""


class TestTune:
    @pytest.fixture
    def recipe(self, home: Path) -> Path:
        text = (home / "base.toml").read_text().replace('on = "dev"', "on = 0.3").replace("epochs = 2", "epochs = 1")
        text = text.replace("batches_per_step = 1", "batches_per_step = 2")
        text = re.sub(r'(?s)(\[stages\.train\.mixture\]\nkind = )"\w+"', r'\1"round_robin"', text)
        (home / "mine.toml").write_text(text + TUNE)
        return home / "mine.toml"

    def test_the_best_is_written_and_repeated_with_fresh_seeds(self, home: Path, recipe: Path) -> None:
        said = Said("tune", "mine.toml", "--trials", "3", "--fresh", "2")
        assert said.status == 0, said.errors
        assert "trial 1 of 3: lr 0.001, merge sum, batches_per_step 2" in said.text
        search = Search(read_space(recipe, []), Path("runs/mine-tune"))
        trials, best = search.trials(), search.best()[0]
        assert [trial.state for trial in trials] == ["done"] * 3
        assert best.scores == max(trial.scores for trial in trials)
        # The file holds the best settings, finds its data from where it stands, and has been run with seeds 1 and 2.
        found = load_recipe("runs/mine-tune/best.toml")
        assert found.stages["train"].lr == best.settings["stages.train.lr"] and found.seed == 0
        assert found.tasks["sentiment"].train == ("../../sentiment-train.csv",)
        fresh = [Run(search.folder / "fresh" / search.place(best.number).name / f"seed-{seed}") for seed in (1, 2)]
        assert {run.read("result.json")["seed"] for run in fresh} == {1, 2}
        select = sum(run.read("result.json")["best"]["select_score"] for run in fresh) / 2
        assert f"select score: {select:.3f} with fresh seeds" in said.text
        # Weights are kept of the fresh runs alone.
        assert not (search.place(1) / "best").exists() and faults_of(fresh[0].folder / "best") == []
        again = Said("tune", "mine.toml", "--trials", "3", "--fresh", "2")
        assert again.status == 0 and "trial 1 of 3" not in again.text
        assert again.text.endswith(
            said.text.partition("with seeds that the search has not seen")[2].partition("dev")[2]
        )

    def test_a_search_that_was_stopped_finds_what_an_undisturbed_one_does(self, recipe: Path) -> None:
        space = read_space(recipe, ["stages.train.epochs=2"])
        whole = list(Search(space, Path("whole")).run(3, Silent(), Given()))
        stopped = Search(space, Path("stopped"))
        with pytest.raises(Interrupted):
            list(stopped.run(3, Silent(after=4), Given()))
        assert stopped.trials() == []
        journal = Path("stopped/trials.jsonl")
        journal.write_bytes(journal.read_bytes() + b'{"op_code": 6, "wor')  # a kill in the middle of a line
        ended = stopped.run(2, Silent(), Given())
        first, second = ended
        assert [first, second, *Search(space, Path("stopped")).run(3, Silent(), Given())] == whole
        for trial in whole:
            name = stopped.place(trial.number).name
            for file in ("metrics.jsonl", "result.json"):
                assert (Path("whole") / name / file).read_bytes() == (Path("stopped") / name / file).read_bytes()

    def test_one_objective_per_task_ends_in_a_front(self, recipe: Path) -> None:
        said = Said("tune", "mine.toml", "--trials", "2", "--fresh", "1", "--pareto")
        assert said.status == 0, said.errors
        assert "no other trial is better in every task" in said.text
        search = Search(read_space(recipe, []), Path("runs/mine-tune"), pareto=True)
        front, trials = search.best(), search.trials()
        for other in trials:
            beats = [all(a > b for a, b in zip(other.scores, trial.scores, strict=True)) for trial in front]
            assert len(other.scores) == 3 and not any(beats)
        metrics = json.loads((search.place(1) / "metrics.jsonl").read_text().splitlines()[0])
        assert trials[0].scores[0] == metrics["select"]["sentiment"]["accuracy"]
        assert Said("tune", "mine.toml").status == 2

    def test_what_is_refused(self, home: Path, recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        on_dev = Said("tune", "mine.toml", "--set", 'select.on="dev"')
        assert on_dev.status == 2 and "do: --set select.on=0.1" in on_dev.errors
        assert "expected a table [tune]" in Said("tune", "base.toml").errors
        assert "expected an empty or new folder" in Said("tune", "mine.toml", "--run", ".").errors
        monkeypatch.setitem(sys.modules, "optuna", None)
        with pytest.raises(MissingExtra, match=r"optuna is not installed; do: pip install 'minbert\[tune\]'"):
            Search(read_space(recipe, []), home / "new")
        assert not (home / "new").exists() and not (home / "runs").exists()
