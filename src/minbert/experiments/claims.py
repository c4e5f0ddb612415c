"""Claims: which process works on what, by files alone, so that machines which share a folder can share the work.

Claim number n of a piece of work is the file `.<name>.claim-<n>`; the one with the highest number counts. A claim is
made by creating the file, which succeeds for one process only. It is never taken away from its maker: who finds it
given back, or its maker dead, creates number n + 1. So there is no moment in which two processes hold a claim.
"""

import json
import os
import platform
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from minbert.storage import reported, write_text

BEAT_SECONDS = 15.0
"""How often a claim says that its maker lives."""

STALE_SECONDS = 120.0
"""A claim of another machine that has been silent for so long is dead."""


class Claim:
    """The right to work on something, held by this process. Make it with `claimed`.

    Args:
        path: the claim's file.

    Attributes:
        done: to be set once nothing is left to do: then the files of all claims on it go.
        lost: another process has taken the work over.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.done = self.lost = False
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    def _beat(self) -> None:
        """Touches the file; and notices if this process slept for so long that another one took over."""
        while not self._end.wait(BEAT_SECONDS):
            # A shared folder may be out of reach for a while; then nobody else can claim there either.
            with suppress(OSError):
                os.utime(self.path)
                self.lost = _number(latest(*_parts(self.path))) > _number(self.path)

    def release(self) -> None:
        """Gives it back."""
        self._end.set()
        self._thread.join()
        if self.done:
            for path in _claims(*_parts(self.path)):
                path.unlink(missing_ok=True)
        elif not self.lost:
            write_text(self.path, json.dumps({"released": True}) + "\n")


@contextmanager
def claimed(folder: Path, name: str) -> Iterator[Claim | None]:
    """Claims a piece of work; gives it back at the end.

    Args:
        folder: where the files of claims are.
        name: of the work.

    Yields:
        The claim; None if a living process has it.
    """
    last = latest(folder, name)
    path = None if last and holder(last) else _create(folder, name, _number(last) + 1)
    if path is None:
        yield None
        return
    claim = Claim(path)
    try:
        yield claim
    finally:
        claim.release()


def latest(folder: Path, name: str) -> Path | None:
    """The claim that counts."""
    return max(_claims(folder, name), key=_number, default=None)


def holder(claim: Path) -> str:
    """Who works under a claim: host and process; empty if it was given back or its maker is dead."""
    try:
        content: dict[str, Any] = json.loads(claim.read_text(encoding="utf-8") or "{}")
    except FileNotFoundError:
        return ""
    except ValueError:
        content = {}
    if content.get("released"):
        return ""
    known = bool(HOST) and content.get("host") == HOST
    alive = content.get("started") == started(int(content["pid"])) if known else _age(claim) < STALE_SECONDS
    return f"{content.get('machine', 'another machine')}, process {content.get('pid', '?')}" if alive else ""


def started(pid: int) -> str:
    """When a living process of this machine began; empty if there is none of that number."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    # A zombie has ended, though its parent has not asked.
    return "" if words[0] in "ZX" else words[19]


def _host() -> str:
    """What tells apart the machines, and on one the containers, that number their processes; empty if unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{platform.node()} {boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


HOST = _host()


def _create(folder: Path, name: str, number: int) -> Path | None:
    """Creates a claim; None if another process was quicker."""
    path = folder / f".{name}.claim-{number}"
    content = {"host": HOST, "machine": platform.node(), "pid": os.getpid(), "started": started(os.getpid())}
    with reported(path):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        except FileExistsError:
            return None
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(json.dumps(content) + "\n")
    return path


def _age(path: Path) -> float:
    """The seconds since a file was touched, by the clock of the machine whose disk it is on."""
    probe = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        probe.touch()
        now = probe.stat().st_mtime
        probe.unlink()
        return now - path.stat().st_mtime
    except FileNotFoundError:
        return time.time()


def _claims(folder: Path, name: str) -> list[Path]:
    """All claims on a piece of work, those that count no more among them."""
    files = folder.iterdir() if folder.is_dir() else ()
    return [path for path in files if path.name.startswith(f".{name}.claim-") and _number(path)]


def _parts(claim: Path) -> tuple[Path, str]:
    return claim.parent, claim.name[1:].rpartition(".claim-")[0]


def _number(claim: Path | None) -> int:
    found = re.search(r"\.claim-(\d+)$", claim.name) if claim else None
    return int(found.group(1)) if found else 0
