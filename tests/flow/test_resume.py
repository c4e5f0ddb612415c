"""A run that is killed at any moment, and resumed, ends with the very bytes of a run that nobody disturbed."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from minbert import train
from minbert.errors import RunError
from minbert.recipe import check_recipe
from minbert.runs import Run, read_lines
from minbert.storage import valid_folder
from minbert.training import Interrupted, Listener
from tests.conftest import toy_table

pytest.importorskip("fcntl")
DEMO = Path(str(resources.files("minbert") / "demo"))
DEADLINE = 60.0
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}

# Leads a run through many lives: each is a process of its own, forked from one that has imported everything, and ends
# by SIGKILL: from inside at the n-th touch of a file or piece of work whose name holds a word, or from outside once the
# snapshot has been replaced so many times. The last life ends by itself. Prints how each life ended.
LIVES = """
import json, os, signal, sys, time
from pathlib import Path
import scipy.stats, sklearn.linear_model, sklearn.metrics, torch
from minbert import train
from minbert.gradients import Merge
from minbert.recipe import check_recipe
from minbert.training import Listener

class Remembering(Merge):
    kind: str = "remembering"
    def start(self, tasks):
        return {"mean": torch.zeros(tasks, tasks), "calls": 0}
    def __call__(self, gram, state, rng):
        mean, calls = 0.5 * state["mean"] + 0.5 * gram, state["calls"] + 1
        weights = torch.rand(len(gram), generator=rng) + 1 / (calls + mean.diag().sqrt())
        return weights, {"mean": mean, "calls": calls}

class Ear(Listener):
    def advance(self, work):
        mark("work")

def mark(what):
    global left
    left -= word in what
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

def watch(event, given):
    if event in ("open", "os.rename", "os.mkdir", "os.remove", "shutil.rmtree") and str(run) in str(given[0]):
        if event != "open" or set(str(given[1])) & set("wax+"):
            mark(f"{event} {Path(given[0]).name}")

def live():
    sys.addaudithook(watch)
    sync = os.fsync
    os.fsync = lambda handle: (mark("sync before"), sync(handle), mark("sync after")) and None
    train(recipe, run, resume=(run / "recipe.toml").exists(), listener=Ear(), snapshot_seconds=0)

def snapshot():
    try:
        return (run / "snapshot").stat().st_ino
    except OSError:
        return 0

def kill(child, times):
    seen, end = snapshot(), time.monotonic() + 60
    while times and time.monotonic() < end and not os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        now = snapshot()
        if now and now != seen:
            seen, times = now, times - 1
    os.kill(child, signal.SIGKILL)

torch.set_num_threads(1)
table, home, run, lives = json.loads(sys.stdin.read())
run = Path(run)
table["stages"]["mine"]["merge"] = Remembering()
recipe = check_recipe(table, Path(home))
for word, left in lives:
    child = os.fork()
    if not child:
        live()
        sys.exit()
    if word == "outside":
        kill(child, left)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(status)
    if status > 0:
        break
"""


def table(encoder: Path) -> dict[str, Any]:
    """Four stages: heads on a frozen encoder, task by task, surgery, and a merge with a memory; dropout on."""
    made = toy_table(encoder)
    for task in made["tasks"].values():
        task["limit"] = 24
    made["tasks"]["similarity"]["head"] = {"kind": "cosine", "project": 8}
    together = {"mixture": "round_robin", "batches_per_step": 3, "batch": 8}
    made["stages"] = {
        "heads": {"update": "heads", "epochs": 2, "lr": 1e-2, "batch": 16},
        "turns": {"mixture": "sequential", "epochs": 2, "batch": 12, "lr": 1e-3, "losses": {"questions": ["bce", "mnr"]}},
        "surgery": {**together, "merge": "pcgrad", "epochs": 2, "lr": 1e-3},
        "mine": {**together, "tasks": ["sentiment", "questions"], "epochs": 1, "lr": 1e-3},
    }
    return made


def lead(encoder: Path, run: Path, lives: list[tuple[str, int]]) -> list[int]:
    """How each life of a run ended: -9 if it was killed, 0 if it came to its end."""
    given = json.dumps([table(encoder), str(DEMO), str(run), [*lives, ("", 0)]])
    command = [sys.executable, "-c", LIVES]
    child = subprocess.run(command, input=given, capture_output=True, text=True, env=ENVIRONMENT, timeout=300)
    assert child.returncode == 0 and "Traceback" not in child.stderr, child.stderr
    return [int(status) for status in child.stdout.split()]


def content(run: Path) -> dict[str, bytes]:
    """What a run leaves behind, byte by byte; times differ from run to run."""
    files = (path for path in run.rglob("*") if path.is_file() and path.name != "times.jsonl")
    return {str(path.relative_to(run)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def undisturbed(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("undisturbed") / "run"
    assert lead(tiny_bert, run, []) == [0]
    return run


class TestKill:
    def test_an_undisturbed_run_holds_what_is_compared(self, undisturbed: Path) -> None:
        found = content(undisturbed)
        assert {"best/heads.safetensors", "last/encoder/model.safetensors", "metrics.jsonl", "result.json"} <= set(found)
        events = [(line["stage"], line["event"]) for line in read_lines(undisturbed / "metrics.jsonl")]
        turns = [("turns", "phase")] * 3 + [("turns", "epoch")]
        assert events == [("heads", "epoch")] * 2 + turns * 2 + [("surgery", "epoch")] * 2 + [("mine", "epoch")]

    def test_in_the_middle_of_every_kind_of_write(self, tiny_bert: Path, undisturbed: Path, tmp_path: Path) -> None:
        words = ["open .run.json", "rename .run.json", "open .recipe.toml", "open .floors.json", "rename .floors.json"]
        lives = [(word, 1) for word in words]
        lives += [("rename .snapshot.tmp", 1), ("rename snapshot", 1), ("rename .snapshot.tmp", 2)]
        lives += [("rmtree .snapshot.old", 2), ("open manifest.json", 1), ("mkdir .snapshot.tmp", 3)]
        # Twice between the line of an epoch and the snapshot that knows of it.
        lives += [("rename .last.tmp", 1), ("rename .last.tmp", 1), ("rename .last.tmp", 1), ("rename .best.tmp", 1)]
        lives += [("mkdir encoder", 1), ("rename .last.tmp", 2), ("rename last", 1), ("rename .last.tmp", 1)]
        lives += [("rmtree .last.old", 2), ("open .result.json", 1), ("rename .result.json", 1)]
        assert lead(tiny_bert, tmp_path / "run", lives) == [-9] * len(lives) + [0]
        assert content(tmp_path / "run") == content(undisturbed)

    @pytest.mark.parametrize("seed", [0, 1])
    def test_at_random_moments(self, tiny_bert: Path, undisturbed: Path, tmp_path: Path, seed: int) -> None:
        rng = random.Random(seed)
        inside = [(word, rng.randint(3, most)) for word, most in [("", 300), ("work", 40), ("sync", 200)] * 3]
        lives = [*inside, *(("outside", rng.randint(1, 4)) for _ in range(4))]
        rng.shuffle(lives)
        assert lead(tiny_bert, tmp_path / "run", lives) == [-9] * len(lives) + [0]
        assert content(tmp_path / "run") == content(undisturbed)


def test_times_stand_apart_and_nothing_else_is_left(undisturbed: Path) -> None:
    assert {"seconds", "peak_memory_mib"} <= set(read_lines(undisturbed / "times.jsonl")[0])
    whole = b"".join(content(undisturbed).values())
    assert b"seconds" not in whole and b"memory_mib" not in whole
    names = "best floors.json last metrics.jsonl recipe.toml result.json run.json times.jsonl .lock".split()
    assert {path.name for path in undisturbed.iterdir()} == set(names)


def until(path: Path, size: int, child: subprocess.Popen[str]) -> None:
    """Waits until a file has so many bytes."""
    end = time.monotonic() + DEADLINE
    while not path.exists() or path.stat().st_size < size:
        assert child.poll() is None and time.monotonic() < end, child.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_with_130_and_names_resume(tiny_bert: Path, tmp_path: Path, number: signal.Signals) -> None:
    made = table(tiny_bert)
    made["stages"] = {"turns": {**made["stages"]["turns"], "epochs": 8}}
    recipe = check_recipe(made, DEMO)
    (tmp_path / "toy.toml").write_text(recipe.to_toml())
    run = tmp_path / "run"
    command = [sys.executable, "-m", "minbert", "train", "toy.toml", "--data", str(DEMO), "--run", str(run)]
    with subprocess.Popen(
        command, cwd=tmp_path, env=ENVIRONMENT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        until(run / "metrics.jsonl", 100, child)
        child.send_signal(number)
        output, errors = child.communicate(timeout=DEADLINE)
    assert child.returncode == 130 and "Traceback" not in errors
    assert errors.startswith("minbert: stopped; go on with --resume") and "stopping" in output
    assert valid_folder(run / "snapshot") and not (run / "result.json").exists()
    train(recipe, run, DEMO, resume=True)
    train(recipe, tmp_path / "other", DEMO)
    assert content(run) == content(tmp_path / "other")


class Stopping(Listener):
    """Stops a run before its third epoch."""

    def doing(self, what: str) -> None:
        if what.endswith("3/3"):
            raise Interrupted("stopped")


@pytest.fixture(scope="module")
def unfinished(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one stage and three epochs that stopped after the second."""
    run = tmp_path_factory.mktemp("unfinished") / "run"
    with pytest.raises(Interrupted):
        train(short(tiny_bert), run, listener=Stopping(), snapshot_seconds=0, with_floors=False)
    return run


def short(encoder: Path) -> Any:
    made = table(encoder)
    made["stages"] = {"train": {"epochs": 3, "batch": 24}}
    return check_recipe(made, DEMO)


@pytest.fixture
def copy(unfinished: Path, tmp_path: Path) -> Iterator[Path]:
    """The unfinished run, to be damaged."""
    shutil.copytree(unfinished, tmp_path / "run")
    yield tmp_path / "run"


class TestDamage:
    FILES = ("model.safetensors", "optimizer.safetensors", "state.json", "manifest.json")

    @pytest.mark.parametrize("file", FILES)
    @pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
    def test_a_cut_snapshot_is_refused_by_name(self, tiny_bert: Path, copy: Path, file: str, share: float) -> None:
        path = copy / "snapshot" / file
        os.truncate(path, int(share * (path.stat().st_size - 1)))
        with pytest.raises(RunError, match=rf"snapshot/{file}: expected .* found"):
            train(short(tiny_bert), copy, resume=True, with_floors=False)
        assert not (copy / "result.json").exists()

    def test_a_flipped_bit_anywhere_is_found(self, copy: Path) -> None:
        rng = random.Random(0)
        for file in self.FILES:
            path = copy / "snapshot" / file
            whole = path.read_bytes()
            for place in (rng.randrange(8 * len(whole)) for _ in range(100)):
                flipped = bytearray(whole)
                flipped[place // 8] ^= 1 << place % 8
                path.write_bytes(flipped)
                try:
                    valid_folder(copy / "snapshot")
                except RunError:
                    continue
                # In the manifest only names and digests count, not the spaces between them.
                assert file == "manifest.json" and json.loads(flipped) == json.loads(whole)
            path.write_bytes(whole)
        assert valid_folder(copy / "snapshot") == copy / "snapshot"

    def test_an_older_whole_snapshot_is_used_where_the_newest_is_damaged(self, tiny_bert: Path, copy: Path) -> None:
        shutil.copytree(copy / "snapshot", copy / ".snapshot.old")
        (copy / "snapshot" / "state.json").write_text("{}")
        train(short(tiny_bert), copy, resume=True, with_floors=False)
        train(short(tiny_bert), copy.with_name("other"), with_floors=False)
        assert content(copy) == content(copy.with_name("other"))

    def test_a_journal_that_has_lost_lines_is_refused_by_name(self, tiny_bert: Path, copy: Path) -> None:
        os.truncate(copy / "metrics.jsonl", 10)
        with pytest.raises(RunError, match=r"metrics\.jsonl: expected [\d,]+ bytes or more, found 10"):
            train(short(tiny_bert), copy, resume=True, with_floors=False)

    def test_a_damaged_record_is_refused_by_name(self, tiny_bert: Path, copy: Path) -> None:
        (copy / "run.json").write_text("{")
        with pytest.raises(RunError, match=r"run\.json: expected JSON"):
            train(short(tiny_bert), copy, resume=True)

    def test_a_snapshot_is_gone_when_the_run_ends(self, tiny_bert: Path, copy: Path) -> None:
        assert Run(copy).valid("snapshot")
        train(short(tiny_bert), copy, resume=True, with_floors=False)
        assert not (copy / "snapshot").exists()
