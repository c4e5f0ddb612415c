"""Whatever goes wrong while writing, the old or the new stands there whole, and nothing else."""

import errno
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from minbert import storage
from minbert.encoder import load_folder, resolve, save_folder
from minbert.errors import InputError, RunError, StorageError
from minbert.storage import atomic_file, digest_of, faults_of, valid_folder, write_folder, write_text

resource = pytest.importorskip("resource")
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
Fault = Callable[..., Any]
# Forks a child that ends itself, without any clean-up, at its first, second, ... touch of a file; says what is found
# afterwards; until a child comes to its end.
KILLED = """
import os, sys
from pathlib import Path
from minbert.storage import valid_folder, write_folder

def writes(text):
    return lambda folder: (folder / "file").write_text(text) and None

def watch(event, given):
    global left
    left -= event in ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree")
    if left == 0:
        os._exit(9)

target, status, at = Path(sys.argv[1]), 9, 0
while status:
    write_folder(target, writes("old"))
    at += 1
    child = os.fork()
    if not child:
        left = at
        sys.addaudithook(watch)
        write_folder(target, writes("new"))
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print((valid_folder(target) / "file").read_text())
"""


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def writes(text: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / "inner").mkdir()
        (folder / "inner" / "weights").write_bytes(text.encode() * 50)
        (folder / "settings.json").write_text(text)

    return write


def fails(at: int = 1, fault: BaseException = FULL, real: Fault | None = None) -> Fault:
    """Stands for a function that fails when it is called for the at-th time."""
    calls: list[int] = []

    def function(*given: Any) -> Any:
        calls.append(1)
        if len(calls) == at:
            raise fault
        return real(*given) if real else None

    return function


@contextmanager
def room(size: int) -> Iterator[None]:
    """No file may grow beyond so many bytes: what a disk that fills up looks like to whoever writes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_text(tmp_path / "file.json", "old")
    return tmp_path / "file.json"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_folder(tmp_path / "best", writes("old"))
    return tmp_path / "best"


class TestFile:
    def test_it_is_written_and_replaced_whole(self, tmp_path: Path) -> None:
        path = tmp_path / "a" / "b" / "file.txt"
        for text in ("first\r\n", "zweiter ü \u2028", ""):
            write_text(path, text)
            assert content(tmp_path) == {"a/b/file.txt": text.encode()}

    @pytest.mark.parametrize("fault", [ValueError("x"), KeyboardInterrupt(), SystemExit(1)])
    def test_a_writer_that_raises_leaves_the_old(self, file: Path, fault: BaseException) -> None:
        with pytest.raises(type(fault)), atomic_file(file) as out:
            out.write("new" * 10_000)
            raise fault
        assert content(file.parent) == {"file.json": b"old"}

    @pytest.mark.parametrize("function", ["fsync", "replace"])
    def test_a_disk_that_fills_up_late_leaves_the_old(
        self, file: Path, monkeypatch: pytest.MonkeyPatch, function: str
    ) -> None:
        monkeypatch.setattr(*{"fsync": (os, "fsync"), "replace": (Path, "replace")}[function], fails())
        with pytest.raises(StorageError, match=r"file\.json: could not be written \(No space left on device\)"):
            write_text(file, "new")
        assert content(file.parent) == {"file.json": b"old"}

    def test_a_disk_that_fills_up_while_writing_leaves_the_old(self, file: Path) -> None:
        with room(4096), pytest.raises(StorageError, match=r"could not be written \(File too large\)"):
            write_text(file, "new" * 10_000)
        assert content(file.parent) == {"file.json": b"old"}

    def test_where_nothing_can_be_written_it_is_told(self, file: Path) -> None:
        for path in (file / "below", file / "far" / "below", file.parent / ("x" * 300)):
            with pytest.raises(StorageError, match="could not be written"):
                write_text(path, "new")
        assert content(file.parent) == {"file.json": b"old"}

    @pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
    def test_without_permission_it_is_told(self, file: Path) -> None:
        file.parent.chmod(0o500)
        try:
            with pytest.raises(StorageError, match="Permission denied"):
                write_text(file, "new")
        finally:
            file.parent.chmod(0o700)


class TestFolder:
    def test_it_is_sealed_with_the_digest_of_every_file(self, folder: Path) -> None:
        manifest = json.loads((folder / "manifest.json").read_text())
        assert manifest == {name: digest_of(folder / name) for name in ("inner/weights", "settings.json")}
        assert faults_of(folder) == [] and valid_folder(folder) == folder

    def test_who_may_read_it_is_for_the_umask_to_say(self, tmp_path: Path) -> None:
        before = os.umask(0o027)
        try:
            write_folder(tmp_path / "new", lambda new: save_file({"a": torch.ones(1)}, new / "tensors"))
        finally:
            os.umask(before)
        modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "new").iterdir()}
        assert modes == {"tensors": 0o640, "manifest.json": 0o640}

    def test_an_older_one_is_replaced_and_nothing_is_left(self, folder: Path) -> None:
        write_folder(folder, writes("new"))
        assert (folder / "settings.json").read_text() == "new" and faults_of(folder) == []
        assert list(folder.parent.iterdir()) == [folder]

    @pytest.mark.parametrize("fault", [ValueError("x"), KeyboardInterrupt(), RuntimeError("x")])
    def test_a_writer_that_raises_leaves_the_old(self, folder: Path, fault: BaseException) -> None:
        before = content(folder.parent)

        def write(partial: Path) -> None:
            writes("new")(partial)
            raise fault

        with pytest.raises(type(fault)):
            write_folder(folder, write)
        assert content(folder.parent) == before

    @pytest.mark.parametrize("at", range(1, 6))
    def test_a_disk_that_fills_up_at_any_sync_leaves_the_old(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, at: int
    ) -> None:
        before = content(folder.parent)
        monkeypatch.setattr(os, "fsync", fails(at))
        with pytest.raises(StorageError, match=r"best: could not be written \(No space left on device\)"):
            write_folder(folder, writes("new"))
        assert content(folder.parent) == before

    def test_a_disk_that_fills_up_while_writing_leaves_the_old(self, folder: Path) -> None:
        before = content(folder.parent)
        with room(4096), pytest.raises(StorageError, match=r"best: could not be written \(File too large\)"):
            write_folder(folder, writes("new" * 10_000))
        assert content(folder.parent) == before

    @pytest.mark.parametrize("size", [1024, 16384, 65536])
    def test_an_encoder_that_does_not_fit_on_the_disk_is_told(self, folder: Path, tiny_bert: Path, size: int) -> None:
        loaded, before = load_folder(resolve(str(tiny_bert))), content(folder.parent)
        sizes = loaded.encoder.config
        with room(size), pytest.raises(StorageError, match=r"best: could not be written \(File too large\)"):
            write_folder(folder, lambda new: save_folder(new, loaded.encoder, loaded.tokenizer, sizes, "mean"))
        assert content(folder.parent) == before

    @pytest.mark.parametrize("at", [1, 2])
    def test_a_rename_that_fails_leaves_the_old_to_be_found(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, at: int
    ) -> None:
        before = content(folder)
        with monkeypatch.context() as patch:
            patch.setattr(Path, "rename", fails(at, real=Path.rename))
            with pytest.raises(StorageError):
                write_folder(folder, writes("new"))
        assert content(valid_folder(folder)) == before
        assert not folder.with_name(".best.tmp").exists()
        write_folder(folder, writes("newer"))
        assert list(folder.parent.iterdir()) == [folder]

    def test_a_kill_at_any_time_leaves_the_old_or_the_new(self, folder: Path) -> None:
        child = subprocess.run([sys.executable, "-c", KILLED, str(folder)], capture_output=True, text=True)
        assert child.returncode == 0, child.stderr
        states = child.stdout.split()
        assert states == sorted(states, key=["old", "new"].index) and states.count("old") > 10
        assert states[-1] == "new" and list(folder.parent.iterdir()) == [folder]

    def test_what_a_kill_left_behind_does_no_harm(self, folder: Path) -> None:
        for name in (".best.tmp", ".best.old"):
            folder.with_name(name).mkdir()
            (folder.with_name(name) / "half").write_text("x")
        assert valid_folder(folder) == folder
        write_folder(folder, writes("new"))
        assert list(folder.parent.iterdir()) == [folder] and "half" not in content(folder)

    def test_where_nothing_can_be_written_it_is_told(self, file: Path) -> None:
        with pytest.raises(StorageError, match=r"below: could not be written \(Not a directory\)"):
            write_folder(file / "below", writes("new"))


class TestFaults:
    def test_every_fault_is_named_at_once(self, folder: Path) -> None:
        (folder / "inner" / "weights").unlink()
        (folder / "settings.json").write_text("o1d")
        missing, damaged = faults_of(folder)
        assert missing == f"{folder}/inner/weights: expected by the manifest, found no such file"
        assert damaged.startswith(f"{folder}/settings.json: expected sha256 ") and damaged.endswith("; it is damaged")
        with pytest.raises(RunError) as caught:
            valid_folder(folder)
        assert caught.value.faults == (missing, damaged)

    def test_a_file_cut_anywhere_is_found(self, folder: Path) -> None:
        for name in ("inner/weights", "settings.json", "manifest.json"):
            whole = (folder / name).read_bytes()
            for length in range(len(whole)):
                (folder / name).write_bytes(whole[:length])
                assert faults_of(folder), (name, length)
            (folder / name).write_bytes(whole)
        assert faults_of(folder) == []

    def test_thousands_of_flipped_bits_are_found(self, folder: Path) -> None:
        rng = random.Random(0)
        for name in ("inner/weights", "settings.json", "manifest.json"):
            whole = (folder / name).read_bytes()
            with (folder / name).open("r+b", buffering=0) as file:
                for place in (rng.randrange(8 * len(whole)) for _ in range(700)):
                    flipped = whole[place // 8] ^ 1 << place % 8
                    os.pwrite(file.fileno(), bytes([flipped]), place // 8)
                    # In the manifest only names and digests count, not the spaces between them.
                    assert faults_of(folder) or json.loads((folder / name).read_text()) == json.loads(whole), place
                    os.pwrite(file.fileno(), whole[place // 8 : place // 8 + 1], place // 8)

    @pytest.mark.parametrize("manifest", [b"", b"[]", b"null", b"{", b"\xff", b'{"../best/settings.json": "0"}'])
    def test_a_manifest_that_is_none_is_a_fault(self, folder: Path, manifest: bytes) -> None:
        (folder / "manifest.json").write_bytes(manifest)
        assert len(faults_of(folder)) == 1

    def test_a_missing_folder_is_a_fault(self, tmp_path: Path) -> None:
        with pytest.raises(RunError, match=r"manifest\.json: expected a list of files with digests"):
            valid_folder(tmp_path / "none")

    def test_a_damaged_folder_gives_way_to_a_whole_older_one(self, folder: Path) -> None:
        old = folder.with_name(".best.old")
        shutil.copytree(folder, old)
        (folder / "settings.json").write_text("x")
        assert valid_folder(folder) == old
        (old / "inner" / "weights").unlink()
        with pytest.raises(RunError, match=r"best/settings\.json: expected sha256"):
            valid_folder(folder)


def test_sync_reaches_files_and_folders(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    monkeypatch.setattr(storage, "sync", lambda path: synced.append(path.name))
    write_folder(folder, writes("new"))
    assert sorted(synced) == sorted(
        [".best.tmp", "inner", "weights", "settings.json", "manifest.json", folder.parent.name]
    )


@pytest.mark.parametrize("name", [".", "/", "folder"])
def test_a_folder_is_no_file_to_write_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="expected a file to write to, found a folder"):
        write_text(Path(name), "x")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
