"""A run that is killed at any moment, and resumed, ends with the very bytes of a run that nobody disturbed."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file
from tests.conftest import toy_table

from minbert import train
from minbert.cli.jobs import going_on
from minbert.errors import RunError
from minbert.recipe import check_recipe
from minbert.runs import Run, read_lines
from minbert.storage import valid_folder, write_folder
from minbert.training import Interrupted, Listener

pytest.importorskip("fcntl")
DEMO = Path(str(resources.files("minbert") / "demo"))
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}

# Leads a run through many lives: each is a process of its own, forked from one that has imported everything, and ends
# by SIGKILL: from inside at the n-th touch of a file or piece of work whose name holds a word, or from outside once the
# snapshot has been replaced so many times. The last life ends by itself. Prints how each life ended. Files are not
# synced: that matters to a power failure, not to a kill.
LIVES = """
import json, os, signal, sys, time
from pathlib import Path
import scipy.stats, sklearn.linear_model, sklearn.metrics, torch, torch._dynamo
from minbert import train
from minbert.gradients import Merge
from minbert.recipe import check_recipe
from minbert.training import Listener

class Remembering(Merge):
    kind: str = "remembering"
    def start(self, tasks):
        return {"mean": torch.zeros(()), "calls": 0}
    def __call__(self, gram, state, rng, tasks):
        mean, calls = 0.5 * state["mean"] + 0.5 * gram.trace(), state["calls"] + 1
        weights = torch.rand(len(gram), generator=rng) + 1 / (calls + mean)
        return weights, {"mean": mean, "calls": calls}

class Ear(Listener):
    def advance(self, work):
        mark("work")
    def doing(self, what):
        mark(f"doing {what}")

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
    os.fsync = lambda handle: mark("sync")
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
table, home, careers = json.loads(sys.stdin.read())
table["stages"]["mine"]["merge"] = Remembering()
recipe = check_recipe(table, Path(home))
for folder, lives in careers.items():
    run, ends = Path(folder), []
    for word, left in lives + [["", 0]]:
        child = os.fork()
        if not child:
            live()
            sys.exit()
        if word == "outside":
            kill(child, left)
        ends.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        if ends[-1] != -signal.SIGKILL:
            break
    # At once: a fork would inherit what is not written yet, and write it too.
    print(json.dumps(ends), flush=True)
"""


def at_random(seed: int) -> list[tuple[str, int]]:
    rng = random.Random(seed)
    lives = [("outside", rng.randint(1, 3)) for _ in range(3)]
    lives += [(word, rng.randint(1, most)) for word, most in [("", 60), ("work", 10), ("sync", 40)] * 4]
    rng.shuffle(lives)
    return lives


def in_writes() -> list[tuple[str, int]]:
    first = ["open .run.json", "rename .run.json", "open .recipe.toml", "open .floors.json", "rename .floors.json"]
    first += ["rename .snapshot.tmp", "rename snapshot"]
    lives = [*((word, 1) for word in first), ("rename .snapshot.tmp", 2), ("rmtree .snapshot.old", 1)]
    # Three times between the line of an epoch and the snapshot that knows of it.
    lives += [("rename .last.tmp", 1), ("mkdir encoder", 2), ("rename .best.tmp", 1), ("mkdir .snapshot.tmp", 3)]
    lives += [("rename last", 1), ("rename .last.tmp", 1), ("open manifest.json", 2), ("rmtree .last.old", 1)]
    # In the middle of an epoch, where merge and optimizer have a memory.
    lives += [("doing surgery 2/2", 2), ("doing mine 1/2", 2), ("doing mine 2/2", 3)]
    return [*lives, ("doing the final table", 1), ("open .result.json", 1), ("rename .result.json", 1)]


CAREERS = {"undisturbed": [], "in every write": in_writes(), "at random, 0": at_random(0), "at random, 1": at_random(1)}


def table(encoder: Path) -> dict[str, Any]:
    """Four stages: heads on a frozen encoder, task by task, surgery, and a merge with a memory; dropout on."""
    made = toy_table(encoder)
    for task in made["tasks"].values():
        task["limit"] = 24
    made["tasks"]["similarity"]["head"] = "difference"
    together = {"mixture": "round_robin", "batches_per_step": 3, "batch": 12, "lr": 1e-3}
    made["stages"] = {
        "heads": {"update": "heads", "epochs": 1, "lr": 1e-2, "batch": 24},
        "turns": {
            "mixture": "sequential",
            "epochs": 2,
            "batch": 24,
            "lr": 1e-3,
            "losses": {"questions": ["bce", "mnr"]},
        },
        "surgery": {**together, "merge": "pcgrad", "epochs": 2, "conflicts_every": 2},
        "mine": {**together, "tasks": ["sentiment", "questions"], "epochs": 2, "batches_per_step": 2, "batch": 8},
    }
    return made


def content(run: Path) -> dict[str, bytes]:
    """What a run leaves behind, byte by byte; times differ from run to run."""
    files = (path for path in run.rglob("*") if path.is_file() and path.name != "times.jsonl")
    return {str(path.relative_to(run)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def ends(tiny_bert: Path, root: Path) -> dict[str, list[int]]:
    """How the lives of each career ended: -9 for those that were killed, 0 for the one that came to its end."""
    given = json.dumps([table(tiny_bert), str(DEMO), {str(root / name): lives for name, lives in CAREERS.items()}])
    command = [sys.executable, "-c", LIVES]
    child = subprocess.run(command, input=given, capture_output=True, text=True, env=ENVIRONMENT, timeout=300)
    assert child.returncode == 0 and "Traceback" not in child.stderr, child.stderr
    return dict(zip(CAREERS, map(json.loads, child.stdout.splitlines()), strict=True))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("careers")


@pytest.mark.usefixtures("ends")
class TestUndisturbed:
    def test_it_leaves_what_is_compared(self, root: Path) -> None:
        found = content(root / "undisturbed")
        assert {"best/heads.safetensors", "last/encoder/model.safetensors", "metrics.jsonl", "result.json"} <= set(
            found
        )
        events = [(line["stage"], line["event"]) for line in read_lines(root / "undisturbed" / "metrics.jsonl")]
        turns = [("turns", "phase")] * 3 + [("turns", "epoch")]
        assert events == [("heads", "epoch")] + turns * 2 + [("surgery", "epoch")] * 2 + [("mine", "epoch")] * 2

    def test_times_stand_apart_and_nothing_else_is_left(self, root: Path) -> None:
        assert {"seconds", "peak_memory_mib"} <= set(read_lines(root / "undisturbed" / "times.jsonl")[0])
        whole = b"".join(content(root / "undisturbed").values())
        assert b"seconds" not in whole and b"memory_mib" not in whole
        files = {
            "answers.safetensors",
            "conflicts.jsonl",
            "floors.json",
            "metrics.jsonl",
            "recipe.toml",
            "result.json",
            "run.json",
            "times.jsonl",
            ".lock",
        }
        assert {path.name for path in (root / "undisturbed").iterdir()} == {*files, "best", "last"}


class TestKill:
    def test_in_the_middle_of_every_kind_of_write(self, ends: dict[str, list[int]], root: Path) -> None:
        assert ends["in every write"] == [-9] * len(CAREERS["in every write"]) + [0]
        assert content(root / "in every write") == content(root / "undisturbed")

    @pytest.mark.parametrize("seed", [0, 1])
    def test_at_random_moments(self, ends: dict[str, list[int]], root: Path, seed: int) -> None:
        *killed, last = ends[f"at random, {seed}"]
        assert last == 0 and len(killed) >= 6 and set(killed) == {-9}
        assert content(root / f"at random, {seed}") == content(root / "undisturbed")


def interrupted(made: dict[str, Any], folder: Path) -> str:
    """Presses Ctrl-C in `minbert train` after its first epoch; what it then says on standard error."""
    (folder / "toy.toml").write_text(check_recipe(made, DEMO).to_toml())
    command = [sys.executable, "-m", "minbert", "train", "toy.toml", "--data", str(DEMO), "--run", "run"]
    with subprocess.Popen(
        command, cwd=folder, env=ENVIRONMENT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        deadline = threading.Timer(60, child.kill)
        deadline.start()
        assert any("epoch 1" in line for line in iter(child.stdout.readline, ""))
        child.send_signal(signal.SIGINT)
        output, errors = child.communicate()
        deadline.cancel()
    assert child.returncode == 130 and "stopping after this step" in output
    return errors


def phased(encoder: Path) -> dict[str, Any]:
    made = table(encoder)
    made["stages"] = {"turns": {**made["stages"]["turns"], "epochs": 3}}
    return made


class TestSignal:
    def test_ctrl_c_stops_with_130_names_resume_and_loses_nothing(self, tiny_bert: Path, tmp_path: Path) -> None:
        said = interrupted(phased(tiny_bert), tmp_path)
        assert said == "minbert: stopped; the run in run goes on with the same command and --resume\n"
        run = tmp_path / "run"
        place = json.loads((valid_folder(run / "snapshot") / "state.json").read_text())["place"]
        assert (place["epoch"], place["step"]) != (0, 0) and not (run / "result.json").exists()
        recipe = check_recipe(phased(tiny_bert), DEMO)
        train(recipe, run, resume=True)
        train(recipe, tmp_path / "other")
        assert content(run) == content(tmp_path / "other")

    def test_before_the_first_step_it_says_how_to_go_on_too(self, tmp_path: Path) -> None:
        run = tmp_path / "run"
        with pytest.raises(KeyboardInterrupt), going_on(run, "the same command"):
            raise KeyboardInterrupt
        run.mkdir()
        (run / "recipe.toml").touch()
        said = rf"stopped; the run in {run} goes on with the same command"
        with pytest.raises(Interrupted, match=said), going_on(run, "the same command"):
            raise KeyboardInterrupt

    def test_a_polite_kill_is_the_same(self, tiny_bert: Path, tmp_path: Path) -> None:
        with pytest.raises(Interrupted, match="goes on with resume=True") as caught:
            train(short(tiny_bert), tmp_path / "run", listener=Killing(1), with_floors=False)
        assert caught.value.exit_status == 130 and valid_folder(tmp_path / "run" / "snapshot")
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL

    def test_a_second_signal_stops_at_once(self, tiny_bert: Path, tmp_path: Path) -> None:
        with pytest.raises(KeyboardInterrupt):
            train(short(tiny_bert), tmp_path / "run", listener=Killing(2), with_floors=False)
        assert Run(tmp_path / "run").valid("snapshot") is None


class Killing(Listener):
    """Sends SIGTERM to itself some times in the first step."""

    def __init__(self, times: int) -> None:
        self.times = times

    def advance(self, work: int) -> None:
        while self.times:
            self.times -= 1
            signal.raise_signal(signal.SIGTERM)


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
        train(short(tiny_bert), run, listener=Stopping(), snapshot_seconds=0.0, with_floors=False)
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

    def test_a_snapshot_of_an_earlier_version_is_refused(self, tiny_bert: Path, copy: Path, tmp_path: Path) -> None:
        before = shutil.move(copy / "snapshot", tmp_path / "before")

        def write(folder: Path) -> None:
            for file in ("model.safetensors", "state.json"):
                shutil.copy(before / file, folder)
            tensors = load_file(before / "optimizer.safetensors")
            renamed = {f"s.{name[2:]}" if name.startswith("m.") else name: tensor for name, tensor in tensors.items()}
            save_file(renamed, folder / "optimizer.safetensors")

        write_folder(copy / "snapshot", write)
        with pytest.raises(RunError, match="expected a snapshot of this version, found an earlier one's; train anew"):
            train(short(tiny_bert), copy, resume=True, with_floors=False)

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
