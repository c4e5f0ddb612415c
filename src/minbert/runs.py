"""The run folder: what is written, where, and how it survives a kill.

```
runs/quick/
  recipe.toml       the whole recipe, defaults written out
  run.json          versions, processor, threads, precision, data files with digests
  metrics.jsonl     losses and scores, a line as they come
  times.jsonl       seconds and memory, apart, because they differ from run to run
  conflicts.jsonl   how the tasks' gradients stand to each other, where `conflicts_every` asks for it
  floors.json       what the untouched encoder and trivial answers reach
  start.json        the scores of the run that this one went on from, where there is one
  best/  last/      checkpoints: encoder/, heads.safetensors, model.json; adapters.safetensors of tasks that have any
  snapshot/         weights, optimizer, place: gone when the run ends
  teachers/         what the stages' teachers say of their rows: gone when the run ends
  answers.safetensors  scores and labels of every dev row, by the best checkpoint
  result.json       the final table: its presence means that the run is finished
```
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import minbert.distributed as distributed
from minbert.errors import RunError
from minbert.storage import atomic_path, reported, stands, sync, valid_folder, write_folder, write_text

try:
    import fcntl
except ImportError:  # not a POSIX system: nothing there locks a run
    fcntl = None  # type: ignore[assignment]


EXPERIMENT = "experiment.json"
"""In the folder of an experiment: what its arms and seeds are; its runs are at `<arm>/seed-<k>/`."""

TEACHERS = "teachers"


class Run:
    """A run folder. Of several processes only the first one writes.

    Args:
        folder: where it stands or shall stand.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def finished(self) -> bool:
        """Whether the final table is there."""
        return (self.folder / "result.json").is_file()

    @property
    def begun(self) -> bool:
        """Whether a recipe is there."""
        return (self.folder / "recipe.toml").is_file()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps a second process out.

        Raises:
            RunError: another process trains in this folder.
        """
        if distributed.rank():
            yield
            return
        with reported(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            lock: IO[str] = (self.folder / ".lock").open("w")
        try:
            if fcntl:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise RunError(
                f"{self.folder}: another process trains in this run; wait, or choose another --run"
            ) from None
        try:
            yield
        finally:
            lock.close()

    def read(self, name: str) -> Any:
        """A JSON file of the run.

        Raises:
            RunError: missing or damaged.
        """
        path = self.folder / name
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            state = "the run is not finished: go on with --resume" if self.begun else "is this a run folder?"
            raise RunError(f"{path}: expected a file of the run, found none; {state}") from None
        except ValueError as fault:
            raise RunError(f"{path}: expected JSON, found {fault}; the file is damaged") from None

    def write(self, name: str, content: Any) -> None:
        """Writes a JSON file whole or not at all."""
        if not distributed.rank():
            write_text(self.folder / name, json.dumps(content, indent=2) + "\n")

    def write_bytes(self, name: str, content: bytes) -> None:
        """Writes a file whole or not at all."""
        if not distributed.rank():
            with atomic_path(self.folder / name) as partial:
                partial.write_bytes(content)

    def checkpoint(self, name: str, write: Callable[[Path], None]) -> None:
        """Writes a checkpoint or snapshot folder whole or not at all."""
        if not distributed.rank():
            write_folder(self.folder / name, write)

    def valid(self, name: str) -> Path | None:
        """A checkpoint or snapshot folder, checked; None if there is none.

        Raises:
            RunError: it is there, and damaged.
        """
        folder = self.folder / name
        if not stands(folder):
            return None
        return valid_folder(folder)

    def journal(self, name: str, keep: int) -> "Journal | Silent":
        """Opens a journal of the run; see there."""
        return Silent() if distributed.rank() else Journal(self.folder / name, keep)

    def tidy(self) -> None:
        """Removes the snapshot of a run that has ended, its teachers' answers, and what kills left half written."""
        if distributed.rank():
            return
        names = ("snapshot", ".snapshot.old", TEACHERS)
        with reported(self.folder):
            for path in [*(self.folder / name for name in names), *self.folder.glob(".*.tmp")]:
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)


class Journal:
    """JSON lines that are appended as they come, and cut back on resume to what the snapshot knows.

    Args:
        path: the file.
        keep: how many bytes of it stand; what is behind belongs to work that was lost.

    Raises:
        RunError: it has not so many bytes.
    """

    def __init__(self, path: Path, keep: int = 0) -> None:
        self.path = path
        with reported(path):
            self._file = path.open("ab")
            size = self._file.seek(0, os.SEEK_END)
            if size >= keep:
                # Truncating leaves the position where it was.
                self._file.seek(self._file.truncate(keep))
            sync(path.parent)
        if size < keep:
            self._file.close()
            raise RunError(f"{path}: expected {keep:,} bytes or more, found {size:,}; lines of it are lost")

    def add(self, **values: Any) -> None:
        """Appends one line."""
        with reported(self.path):
            self._file.write(json.dumps(values).encode() + b"\n")
            self._file.flush()

    def size(self) -> int:
        """The bytes that stand on the disk, now synced."""
        with reported(self.path):
            os.fsync(self._file.fileno())
        return self._file.tell()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


class Silent:
    """The journal of a process that writes nothing."""

    def add(self, **values: Any) -> None:
        """Does nothing."""

    def size(self) -> int:
        """Nothing."""
        return 0

    def close(self) -> None:
        """Does nothing."""


def whole_lines(path: Path) -> int:
    """The bytes of a journal without a last line that a kill cut off."""
    return path.read_bytes().rfind(b"\n") + 1 if path.is_file() else 0


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a journal; a last line that a kill cut off is left out."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]
