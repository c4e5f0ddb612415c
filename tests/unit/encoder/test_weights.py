"""Tensors that do not fit, and files that are cut or flipped: always one named error, never a silent wrong load."""

import json
import random
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save, save_file
from torch import Tensor

from minbert.encoder import Bert, BertConfig, load_folder, resolve, save_folder
from minbert.encoder.weights import export, fill
from minbert.errors import WeightsError
from minbert.text.tokenizer import load_tokenizer

SIZES = BertConfig(
    vocab_size=9, hidden_size=4, num_hidden_layers=2, num_attention_heads=2, intermediate_size=6,
    max_position_embeddings=16,
)  # fmt: skip
Tensors = dict[str, Tensor]
REMEDY = "the weights do not fit config.json: use the files of one and the same model"


@pytest.fixture
def tensors() -> Tensors:
    torch.manual_seed(0)
    return {name: torch.randn(tensor.shape) for name, tensor in export(Bert(SIZES)).items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of some ten kilobytes."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\n##c\n")
    torch.manual_seed(0)
    save_folder(folder, Bert(SIZES), load_tokenizer(folder / "vocab.txt", 16), SIZES, "mean")
    return folder


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def faults(tensors: Tensors) -> list[str]:
    with pytest.raises(WeightsError) as caught:
        fill(Bert(SIZES), tensors, "file")
    return list(caught.value.faults)


def test_every_fault_is_named_in_one_error(tensors: Tensors) -> None:
    del tensors["embeddings.LayerNorm.bias"], tensors["encoder.layer.1.output.dense.weight"]
    del tensors["pooler.dense.bias"]
    tensors["embeddings.word_embeddings.weight"] = torch.zeros(8, 4)
    tensors["encoder.layer.0.attention.self.key.bias"] = torch.zeros(4, 1)
    tensors["encoder.layer.0.output.dense.bias"] = torch.zeros(4, dtype=torch.int64)
    tensors["pooler.dense.weight"] = torch.ones(4, 4, dtype=torch.bool)
    tensors["encoder.layer.2.output.dense.bias"] = torch.zeros(4)
    tensors["something.else"] = torch.zeros(1)
    assert sorted(faults(tensors)) == sorted([
        "file: expected embeddings.LayerNorm.bias [4], found no such tensor",
        "file: expected encoder.layer.1.output.dense.weight [4, 6], found no such tensor",
        "file: expected pooler.dense.bias [4], found no such tensor",
        "file: expected embeddings.word_embeddings.weight [9, 4] by config.json, found [8, 4]",
        "file: expected encoder.layer.0.attention.self.key.bias [4] by config.json, found [4, 1]",
        "file: expected encoder.layer.0.output.dense.bias of a float type, found torch.int64",
        "file: expected pooler.dense.weight of a float type, found torch.bool",
        "file: unexpected tensor encoder.layer.2.output.dense.bias",
        "file: unexpected tensor something.else",
        REMEDY,
    ])  # fmt: skip


def test_a_misfit_fills_nothing(tensors: Tensors) -> None:
    bert = Bert(SIZES)
    before = {name: tensor.clone() for name, tensor in bert.state_dict().items()}
    del tensors["encoder.layer.1.output.dense.bias"]
    with pytest.raises(WeightsError):
        fill(bert, tensors, "file")
    assert all(torch.equal(before[name], tensor) for name, tensor in bert.state_dict().items())


def test_a_tensor_under_two_names_is_refused(tensors: Tensors) -> None:
    tensors["bert.embeddings.LayerNorm.gamma"] = torch.zeros(4)
    (fault, remedy) = faults(tensors)
    assert fault.startswith("file: expected embeddings.LayerNorm.weight once, found ") and remedy == REMEDY
    assert "bert.embeddings.LayerNorm.gamma" in fault


def test_extras_of_heads_are_left_out_and_told(tensors: Tensors) -> None:
    names = ["bert.embeddings.position_ids", "classifier.weight", "cls.predictions.bias"]
    remarks = fill(Bert(SIZES), tensors | {name: torch.zeros(3) for name in names}, "file")
    assert remarks == [f"left out, no part of the encoder: {', '.join(names)}"]


def test_without_a_pooler_it_stays_as_it_was_and_is_told(tensors: Tensors) -> None:
    bert = Bert(SIZES)
    before = bert.pooler.dense.weight.clone()
    remarks = fill(bert, {name: tensor for name, tensor in tensors.items() if "pooler" not in name}, "file")
    assert remarks == ["the file has no pooler: it starts fresh"] and torch.equal(before, bert.pooler.dense.weight)


def test_export_and_fill_are_each_others_inverse(tensors: Tensors) -> None:
    bert = Bert(SIZES)
    assert fill(bert, tensors, "file") == []
    exported = export(bert)
    assert exported.keys() == tensors.keys()
    assert all(torch.equal(exported[name], tensor) for name, tensor in tensors.items())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_float_types_load_as_float32(copy: Path, dtype: torch.dtype) -> None:
    tensors = load_file(copy / "model.safetensors")
    save_file({name: tensor.to(dtype) for name, tensor in tensors.items()}, copy / "model.safetensors")
    found = export(load_folder(resolve(str(copy))).encoder)
    assert all(found[name].dtype == torch.float32 for name in tensors)
    assert all(torch.equal(found[name], tensors[name].to(dtype).float()) for name in tensors)


@pytest.mark.parametrize("tokens", [0, 7, 17, 512])
def test_a_limit_that_the_positions_do_not_carry_is_refused(folder: Path, tokens: int) -> None:
    with pytest.raises(WeightsError, match=rf"max_tokens: expected 8 to 16 for .*, found {tokens}$"):
        load_folder(resolve(str(folder)), tokens)
    assert load_folder(resolve(str(folder)), 8).tokenizer.max_tokens == 8


def test_ids_beyond_the_word_table_are_refused(copy: Path) -> None:
    tokenizer = json.loads((copy / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"]["##c"] = 9
    (copy / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(WeightsError, match=r"tokenizer\.json: expected ids below 9 by config\.json, found 9$"):
        load_folder(resolve(str(copy)))


def test_dropout_is_the_configs_or_what_was_asked_for(folder: Path) -> None:
    source = resolve(str(folder))
    assert load_folder(source).encoder.config.hidden_dropout_prob == 0.1
    config = load_folder(source, dropout=0.25).encoder.config
    assert (config.hidden_dropout_prob, config.attention_probs_dropout_prob) == (0.25, 0.25)


def outcome(folder: Path, original: Tensors) -> str:
    """`error` if the load is refused by name, `same` if it gives the very tensors; fails on anything else."""
    try:
        tensors = export(load_folder(resolve(str(folder))).encoder)
    except WeightsError as fault:
        assert str(folder) in str(fault)
        return "error"
    assert tensors.keys() == original.keys()
    assert all(torch.equal(tensor, original[name]) for name, tensor in tensors.items())
    return "same"


def test_a_file_cut_anywhere_is_refused(copy: Path) -> None:
    file = copy / "model.safetensors"
    whole, original = file.read_bytes(), load_file(file)
    for length in {*range(0, 64), *range(0, len(whole), 37), len(whole) - 1}:
        file.write_bytes(whole[:length])
        assert outcome(copy, original) == "error", length
    file.write_bytes(whole + b"\0")
    assert outcome(copy, original) == "error"


def test_a_flipped_bit_in_the_header_never_loads_other_tensors(copy: Path) -> None:
    file = copy / "model.safetensors"
    whole, original = file.read_bytes(), load_file(file)
    size = 8 + int.from_bytes(whole[:8], "little")
    rng = random.Random(0)
    places = [*range(64), *(rng.randrange(64, 8 * size) for _ in range(400))]
    found = set()
    for place in places:
        flipped = bytearray(whole)
        flipped[place // 8] ^= 1 << place % 8
        file.write_bytes(flipped)
        found.add(outcome(copy, original))
    assert "error" in found


def test_with_a_digest_every_flipped_bit_is_refused(copy: Path) -> None:
    file, source = copy / "model.safetensors", resolve(str(copy))
    whole = file.read_bytes()
    resolve(str(copy), source.digest)
    for place in range(0, 8 * len(whole), 331):
        flipped = bytearray(whole)
        flipped[place // 8] ^= 1 << place % 8
        file.write_bytes(flipped)
        with pytest.raises(WeightsError, match=f"expected sha256 {source.digest}, found"):
            resolve(str(copy), source.digest)


def test_what_is_no_safetensors_is_refused(copy: Path) -> None:
    source = resolve(str(copy))
    pickled, page, other = b"PK\x03\x04" + bytes(500), b"<html>not found</html>" * 20, save({"a": torch.zeros(2)})
    for content in (b"", pickled, page, b'{"a": 1}', other):
        source.weights.write_bytes(content)
        with pytest.raises(WeightsError):
            load_folder(source)
    source.weights.unlink()
    with pytest.raises(WeightsError, match="expected safetensors, found what cannot be read"):
        load_folder(source)
