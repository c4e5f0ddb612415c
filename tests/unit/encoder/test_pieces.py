"""Weights in pieces: joined once into the cache, whole or not at all, and nothing but data is taken out."""

import io
from pathlib import Path
from zipfile import ZipFile

import pytest

from minbert.encoder import pieces
from minbert.encoder.pieces import joined
from minbert.errors import WeightsError
from minbert.storage import MANIFEST

PIECES = [(f"part-{i}", f"part_{i}/name.zip.00{i}") for i in (1, 2, 3)]
DATA = {"config.json": b"{}", "1_Pooling/config.json": b"[]", "model.safetensors": bytes(range(256)) * 40}


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Three pieces of a zip file, by the package that carries each."""
    whole = io.BytesIO()
    with ZipFile(whole, "w") as archive:
        for name, content in {**DATA, "code.py": b"1/0", "old.bin": b"\x80", "../../out.json": b"{}"}.items():
            archive.writestr(f"name/{name}", content)
    content, files = whole.getvalue(), {}
    for i, (distribution, _) in enumerate(PIECES):
        files[distribution] = tmp_path / distribution
        files[distribution].write_bytes(content[i * 4000 : None if i == 2 else (i + 1) * 4000])
    monkeypatch.setattr(pieces, "_located", lambda distribution, inside: files.get(distribution))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return files


def test_they_are_joined_once_and_only_data_is_taken_out(packages: dict[str, Path], tmp_path: Path) -> None:
    folder = joined(PIECES, "digest")
    assert folder == tmp_path / "cache" / "minbert" / "digest"
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert found.pop(MANIFEST) and found == DATA
    assert not list(tmp_path.rglob("out.json"))
    packages.clear()
    assert joined(PIECES, "digest") == folder


def test_of_two_processes_the_first_one_stays(
    packages: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpack = pieces._unpack

    def late(files: list[Path], folder: Path) -> None:
        unpack(files, folder)
        monkeypatch.setattr(pieces, "_unpack", unpack)
        monkeypatch.setattr(pieces.os, "getpid", lambda: 1)
        joined(PIECES, "digest")

    monkeypatch.setattr(pieces, "_unpack", late)
    folder = joined(PIECES, "digest")
    assert folder is not None and [path.name for path in folder.parent.iterdir()] == ["digest"]


def test_without_all_pieces_there_is_nothing(packages: dict[str, Path], tmp_path: Path) -> None:
    del packages["part-2"]
    assert joined(PIECES, "digest") is None and not (tmp_path / "cache").exists()


def test_what_is_no_zip_file_leaves_nothing_behind(packages: dict[str, Path], tmp_path: Path) -> None:
    packages["part-3"].write_bytes(b"cut")
    with pytest.raises(WeightsError, match="part-1 and its 2 sequels: expected a zip file"):
        joined(PIECES, "digest")
    assert list((tmp_path / "cache" / "minbert").iterdir()) == []
