"""Writing files and folders so that a crash, a full disk or a kill leaves the old or the new, never a half.

A folder of a checkpoint: a temporary folder beside the target -> each file written and fsynced -> `manifest.json` with
the SHA-256 of each -> the folder fsynced -> rename -> the parent fsynced.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from safetensors import SafetensorError

from minbert.errors import InputError, RunError, StorageError

MANIFEST = "manifest.json"


def digest_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def reported(path: Path) -> Iterator[None]:
    """Turns what the system says of a failed write into one named error."""
    try:
        yield
    except (OSError, SafetensorError) as fault:
        reason = getattr(fault, "strerror", None) or str(fault)
        raise StorageError(f"{path}: could not be written ({reason}); what was there before is intact") from fault


def sync(path: Path) -> None:
    """Makes sure that a file or folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A place beside a file to write to; what was written there then takes the file's name, whole or not at all.

    Raises:
        InputError: a folder stands there.
        StorageError: the disk is full or refuses; the old file is intact.
    """
    if os.path.isdir(path):
        raise InputError(f"{path}: expected a file to write to, found a folder; name a file in it")
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with reported(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield partial
            sync(partial)
            partial.replace(path)
            sync(path.parent)
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[str]]:
    """A text file in UTF-8 that appears whole or not at all; raises as `atomic_path` does."""
    with atomic_path(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        yield file


def write_text(path: Path, text: str) -> None:
    """Writes a small text file whole or not at all."""
    with atomic_file(path) as file:
        file.write(text)


def write_folder(target: Path, write: Callable[[Path], None]) -> None:
    """Writes a folder whole or not at all; an older folder of that name is replaced.

    Args:
        target: where it shall stand.
        write: writes the files into the (temporary) folder that it is given.

    Raises:
        StorageError: the disk is full or refuses; the old folder is intact.
    """
    partial, old = target.with_name(f".{target.name}.tmp"), replaced(target)
    with reported(target):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            write(partial)
            files = sorted(path for path in partial.rglob("*") if path.is_file())
            manifest = {str(path.relative_to(partial)): digest_of(path) for path in files}
            (partial / MANIFEST).write_text(json.dumps(manifest, indent=1))
            for path in files:
                # safetensors lets nobody but the owner read what it writes; who may read a run is the umask's to say.
                path.chmod((partial / MANIFEST).stat().st_mode)
            for path in [*files, partial / MANIFEST]:
                sync(path)
            for folder in [path for path in partial.rglob("*") if path.is_dir()]:
                sync(folder)
            sync(partial)
            if target.exists():
                # Two renames: killed between them, the old one still stands under its other name (`valid_folder`).
                shutil.rmtree(old, ignore_errors=True)
                target.rename(old)
            partial.rename(target)
            sync(target.parent)
        except BaseException:
            if old.exists() and not target.exists():
                old.rename(target)
            shutil.rmtree(partial, ignore_errors=True)
            raise
        shutil.rmtree(old, ignore_errors=True)


def digests_of(folder: Path) -> dict[str, str]:
    """What the manifest of a whole folder says: each file's digest."""
    found: dict[str, str] = json.loads((folder / MANIFEST).read_text())
    return found


def faults_of(folder: Path) -> list[str]:
    """What is wrong with a folder that `write_folder` wrote: missing, changed or cut files."""
    manifest = folder / MANIFEST
    try:
        expected = json.loads(manifest.read_text())
        pairs = [(str(name), str(digest)) for name, digest in expected.items()]
    except (OSError, ValueError, AttributeError) as fault:
        return [f"{manifest}: expected a list of files with digests, found none that can be read ({fault})"]
    faults = []
    for name, digest in pairs:
        path = folder / name
        if not path.is_file():
            faults.append(f"{path}: expected by the manifest, found no such file")
        elif digest_of(path) != digest:
            faults.append(f"{path}: expected sha256 {digest[:12]}..., found {digest_of(path)[:12]}...; it is damaged")
    return faults


def replaced(target: Path) -> Path:
    """Under which name a folder stands while it is replaced: what a kill between two renames leaves of it."""
    return target.with_name(f".{target.name}.old")


def stands(target: Path) -> bool:
    """Whether the folder is there, or the one that it was about to replace."""
    return target.exists() or replaced(target).exists()


def valid_folder(target: Path) -> Path:
    """The folder itself if it is whole, else the one it was about to replace, if that is whole.

    Raises:
        RunError: neither is whole; names each fault.
    """
    old = replaced(target)
    faults = faults_of(target)
    if not faults:
        return target
    if old.exists() and not faults_of(old):
        return old
    raise RunError(faults)
