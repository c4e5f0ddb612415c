"""Claims: one process at a time, and none is lost when a process dies."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from minbert.experiments import claimed, claims
from minbert.experiments.claims import STALE_SECONDS, Claim, holder, latest, started

# Claims something and waits; dies without giving it back when its input ends.
HOLDS = """
import os, sys
from pathlib import Path
from minbert.experiments.claims import claimed
with claimed(Path(sys.argv[1]), "work") as claim:
    print(claim.path.name if claim else None, flush=True)
    sys.stdin.read()
    os._exit(9)
"""


def elsewhere(folder: Path, number: int, silent: float) -> Path:
    """A claim of another machine that was touched so many seconds ago."""
    path = folder / f".work.claim-{number}"
    path.write_text(json.dumps({"host": "far", "machine": "far", "pid": 1, "started": "1"}))
    os.utime(path, (time.time() - silent,) * 2)
    return path


def test_one_at_a_time(tmp_path: Path) -> None:
    with claimed(tmp_path, "work") as first:
        assert isinstance(first, Claim) and first.path.name == ".work.claim-1"
        with claimed(tmp_path, "work") as second, claimed(tmp_path, "other") as other:
            assert second is None and other
    with claimed(tmp_path, "work") as third:
        assert third and third.path.name == ".work.claim-2"


def test_names_that_begin_alike_are_apart(tmp_path: Path) -> None:
    with claimed(tmp_path, "seed-1") as one, claimed(tmp_path, "seed-11") as eleven:
        assert one and eleven


def test_it_is_given_back_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), claimed(tmp_path, "work"):
        raise KeyboardInterrupt
    with claimed(tmp_path, "work") as again:
        assert again


def test_nothing_is_left_of_work_that_is_done(tmp_path: Path) -> None:
    with claimed(tmp_path, "work"):
        pass
    with claimed(tmp_path, "work") as claim:
        assert claim
        claim.done = True
    assert list(tmp_path.iterdir()) == []


def test_the_claim_of_a_dead_process_is_taken_over_and_that_of_a_living_one_is_not(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdin and child.stdout and child.stdout.readline() == ".work.claim-1\n"
        claim = latest(tmp_path, "work")
        assert claim and f"process {child.pid}" in holder(claim)
        with claimed(tmp_path, "work") as refused:
            assert refused is None
        # However silent it is: here its number tells that it lives.
        os.utime(claim, (0, 0))
        assert holder(claim)
        child.stdin.close()
        # Dead, but nobody has asked: a zombie has no claim.
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert holder(claim) == ""
        with claimed(tmp_path, "work") as taken:
            assert taken and taken.path.name == ".work.claim-2"


def test_a_number_that_another_process_has_got_since_is_not_the_maker(tmp_path: Path) -> None:
    path = tmp_path / ".work.claim-1"
    mine = {"host": claims.HOST, "pid": os.getpid(), "started": started(os.getpid())}
    path.write_text(json.dumps(mine))
    assert holder(path)
    path.write_text(json.dumps({**mine, "started": "1"}))
    assert holder(path) == ""


def test_another_machines_claim_goes_stale(tmp_path: Path) -> None:
    assert holder(elsewhere(tmp_path, 1, STALE_SECONDS - 30)) == "far, process 1"
    with claimed(tmp_path, "work") as claim:
        assert claim is None
    assert holder(elsewhere(tmp_path, 1, STALE_SECONDS + 30)) == ""
    with claimed(tmp_path, "work") as claim:
        assert claim and claim.path.name == ".work.claim-2"


@pytest.mark.parametrize("text", ["", "{", '{"host": 3}'])
def test_a_claim_that_is_being_written_counts_until_it_is_stale(tmp_path: Path, text: str) -> None:
    path = tmp_path / ".work.claim-1"
    path.write_text(text)
    assert holder(path)
    os.utime(path, (0, 0))
    assert holder(path) == ""


def test_who_slept_while_another_took_over_notices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "BEAT_SECONDS", 0.01)
    with claimed(tmp_path, "work") as claim:
        assert claim and not claim.lost
        os.utime(claim.path, (0, 0))
        later = elsewhere(tmp_path, 2, 0)
        end = time.monotonic() + 20
        while not claim.lost and time.monotonic() < end:
            assert later.exists()
        assert claim.lost and claim.path.stat().st_mtime > 0
    # It has nothing to give back.
    assert holder(later) == "far, process 1"
