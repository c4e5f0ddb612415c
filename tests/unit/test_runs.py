"""The run folder: its lock, its journal, what is left of it when it ends."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from minbert.errors import RunError, StorageError
from minbert.runs import Journal, Run, read_lines, whole_lines

LINES = b'{"step": 1}\n{"step": 2}\n{"step": 3}\n'
HOLDS = """
import sys
from pathlib import Path
from minbert.runs import Run
with Run(Path(sys.argv[1])).locked():
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(LINES)
    return path


class TestJournal:
    def test_a_line_is_on_the_disk_when_it_is_added(self, tmp_path: Path) -> None:
        journal = Journal(tmp_path / "new.jsonl")
        journal.add(step=1, text="é\n\u2028")
        journal.add(step=2)
        assert read_lines(tmp_path / "new.jsonl") == [{"step": 1, "text": "é\n\u2028"}, {"step": 2}]
        assert journal.size() == (tmp_path / "new.jsonl").stat().st_size
        journal.close()

    @pytest.mark.parametrize("keep", [0, 12, 24, 36])
    def test_it_is_cut_back_to_what_the_snapshot_knows(self, path: Path, keep: int) -> None:
        journal = Journal(path, keep)
        assert path.read_bytes() == LINES[:keep]
        assert journal.size() == keep
        journal.add(step=9)
        assert path.read_bytes() == LINES[:keep] + b'{"step": 9}\n'
        assert journal.size() == keep + 12
        journal.close()

    def test_what_is_cut_twice_is_not_filled_with_nothing(self, path: Path) -> None:
        first = Journal(path, 12)
        known = first.size()
        first.add(step=7)
        first.close()
        Journal(path, known).close()
        assert path.read_bytes() == LINES[:12]

    def test_one_that_is_shorter_than_the_snapshot_knows_is_damaged(self, path: Path) -> None:
        with pytest.raises(
            RunError, match=r"metrics\.jsonl: expected 37 bytes or more, found 36; lines of it are lost"
        ):
            Journal(path, 37)
        assert path.read_bytes() == LINES

    def test_a_folder_that_is_none_is_told(self, path: Path) -> None:
        with pytest.raises(StorageError, match="could not be written"):
            Journal(path / "x.jsonl")


class TestLines:
    @pytest.mark.parametrize("cut", range(len(LINES) + 1))
    def test_a_last_line_that_was_cut_is_left_out(self, path: Path, cut: int) -> None:
        path.write_bytes(LINES[:cut])
        whole = LINES[:cut].count(b"\n")
        assert [line["step"] for line in read_lines(path)] == [1, 2, 3][:whole]
        assert whole_lines(path) == 12 * whole

    def test_what_is_added_behind_a_cut_line_can_be_read(self, path: Path) -> None:
        path.write_bytes(LINES[:-4])
        journal = Journal(path, whole_lines(path))
        journal.add(step=4)
        journal.close()
        assert [line["step"] for line in read_lines(path)] == [1, 2, 4]

    def test_a_missing_file_has_none(self, tmp_path: Path) -> None:
        assert read_lines(tmp_path / "none.jsonl") == [] and whole_lines(tmp_path / "none.jsonl") == 0


class TestLock:
    def test_another_process_is_kept_out_until_it_is_gone(self, tmp_path: Path) -> None:
        pytest.importorskip("fcntl")
        run = Run(tmp_path / "run")
        command = [sys.executable, "-c", HOLDS, str(run.folder)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
            assert other.stdout and other.stdout.readline() == b"locked\n"
            with pytest.raises(RunError, match="another process trains in this run; wait"), run.locked():
                pass
            # A killed process holds no lock, whatever files it leaves.
            other.kill()
            other.wait()
            with run.locked():
                pass
        assert (run.folder / ".lock").exists()

    def test_it_is_given_back_after_an_error(self, tmp_path: Path) -> None:
        run = Run(tmp_path)
        with pytest.raises(ValueError), run.locked():
            raise ValueError
        with run.locked():
            pass

    def test_a_place_that_cannot_be_written_is_told(self, path: Path) -> None:
        with pytest.raises(StorageError, match="could not be written"), Run(path / "run").locked():
            pass


class TestFiles:
    def test_json_comes_back(self, tmp_path: Path) -> None:
        Run(tmp_path).write("x.json", {"a": [1, "é", None]})
        assert Run(tmp_path).read("x.json") == {"a": [1, "é", None]}

    @pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'{"a": 1'])
    def test_a_damaged_file_is_told(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "result.json").write_bytes(content)
        with pytest.raises(RunError, match=r"result\.json: expected JSON, found .*; the file is damaged"):
            Run(tmp_path).read("result.json")

    def test_a_missing_file_says_how_to_get_it(self, tmp_path: Path) -> None:
        run = Run(tmp_path)
        with pytest.raises(RunError, match="found none; is this a run folder"):
            run.read("result.json")
        (tmp_path / "recipe.toml").write_text("")
        assert run.begun and not run.finished
        with pytest.raises(RunError, match="found none; the run is not finished: go on with --resume"):
            run.read("result.json")

    def test_a_checkpoint_is_whole_or_refused(self, tmp_path: Path) -> None:
        run = Run(tmp_path)
        assert run.valid("best") is None
        run.checkpoint("best", lambda folder: (folder / "x").write_text("1") and None)
        assert run.valid("best") == tmp_path / "best"
        (tmp_path / "best" / "x").write_text("2")
        with pytest.raises(RunError, match="it is damaged"):
            run.valid("best")

    def test_a_checkpoint_is_found_under_its_other_name(self, tmp_path: Path) -> None:
        run = Run(tmp_path)
        run.checkpoint("best", lambda folder: (folder / "x").write_text("1") and None)
        (tmp_path / "best").rename(tmp_path / ".best.old")
        assert run.valid("best") == tmp_path / ".best.old"

    def test_when_it_ends_the_snapshot_goes_and_what_kills_left(self, tmp_path: Path) -> None:
        run = Run(tmp_path)
        for name in ("snapshot", ".snapshot.old", ".snapshot.tmp", ".last.tmp", "best", ".best.old"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "x").write_text("")
        for name in (".result.json.17.tmp", "result.json", ".lock"):
            (tmp_path / name).write_text(json.dumps({}))
        run.tidy()
        assert {path.name for path in tmp_path.iterdir()} == {"best", ".best.old", "result.json", ".lock"}
        run.tidy()
