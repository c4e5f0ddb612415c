"""Folders of sentence-transformers as users bring them: pooling, norm, limit, prompts are followed, or it is said."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer
from tests.conftest import toy_table

from minbert import load, train
from minbert.encoder import load_folder, resolve, save_folder
from minbert.errors import WeightsError
from minbert.inference import load_encoder
from minbert.recipe import check_recipe
from minbert.training.setup import set_up

TEXTS = ["a good film", "what is it?", "", "the bad food of the film", " ".join(["very"] * 70)]
PROMPTS = {"query": "query: ", "passage": "passage: "}
Write = Callable[..., Path]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture
def write(tiny_bert: Path, tmp_path: Path) -> Write:
    """Writes the folder of a BERT as a user would bring it."""

    def write(pooling: dict[str, Any], *more: str, limit: int = 24, **prompts: Any) -> Path:
        folder = Path(shutil.copytree(tiny_bert, tmp_path / "given"))
        names = ["Transformer", "Pooling", *more]
        paths = ["", *(f"{i}_{name}" for i, name in enumerate(names) if i)]
        modules = [
            {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{name}"}
            for i, (name, path) in enumerate(zip(names, paths, strict=True))
        ]
        (folder / "modules.json").write_text(json.dumps(modules))
        (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 32} | pooling))
        (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": limit, "do_lower_case": False}))
        if prompts:
            (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts))
        return folder

    return write


MEAN, CLS = {"pooling_mode_mean_tokens": True}, {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
STYLES: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "e5": ((MEAN, "Normalize"), {"prompts": PROMPTS, "default_prompt_name": None}),
    "bge": ((CLS, "Normalize"), {"prompts": {"query": "find what answers: "}}),
    "gte": ((MEAN,), {}),
    "default": ((CLS,), {"prompts": PROMPTS, "default_prompt_name": "passage"}),
    "new": (({"embedding_dimension": 32, "pooling_mode": "cls", "include_prompt": True},), {}),
}


@pytest.mark.parametrize("style", STYLES)
def test_embed_gives_what_sentence_transformers_gives(write: Write, style: str) -> None:
    given_, prompts = STYLES[style]
    folder = write(*given_, **prompts)
    other, mine = SentenceTransformer(str(folder), device="cpu"), load_encoder(folder, device="cpu")
    wanted = other.encode(TEXTS, show_progress_bar=False)
    np.testing.assert_allclose(mine.embed(TEXTS, precision="float32"), wanted, rtol=0, atol=1e-5)
    with_prompt = other.encode(TEXTS, prompt="query: ", show_progress_bar=False)
    found = mine.embed(TEXTS, precision="float32", prompt="query: ")
    np.testing.assert_allclose(found, with_prompt, rtol=0, atol=1e-5)
    assert abs(found - wanted).max() > 0.01 and mine.tokenizer.max_tokens == 24


def test_a_saved_folder_keeps_the_prompts_and_the_one_in_force(write: Write, tmp_path: Path) -> None:
    folder = write(MEAN, "Normalize", prompts=PROMPTS, default_prompt_name="passage")
    for prompt, named in (("auto", "passage"), ("query: ", "query"), ("say: ", "default"), ("", None)):
        loaded = load_folder(resolve(str(folder)), 24, prompt=prompt)
        target = tmp_path / f"saved-{named}"
        target.mkdir()
        save_folder(target, loaded.encoder, loaded.tokenizer, loaded.encoder.config, "mean")
        other = SentenceTransformer(str(target), device="cpu")
        assert other.default_prompt_name == named and other.prompts.items() >= PROMPTS.items()
        wanted = load_folder(resolve(str(target))).tokenizer.prompt
        assert wanted == loaded.tokenizer.prompt == {**PROMPTS, "default": "say: ", None: ""}[named]
        found = load_encoder(target, device="cpu").embed(TEXTS, precision="float32")
        np.testing.assert_allclose(found, other.encode(TEXTS, show_progress_bar=False), rtol=0, atol=1e-5)


def test_a_folder_that_sentence_transformers_saved_is_read(tiny_bert: Path, tmp_path: Path) -> None:
    other = SentenceTransformer(str(tiny_bert), device="cpu", prompts=PROMPTS, default_prompt_name="query")
    other.save(str(tmp_path / "theirs"))
    mine = load_encoder(tmp_path / "theirs", device="cpu")
    assert (mine.tokenizer.prompt, dict(mine.tokenizer.prompts)) == ("query: ", PROMPTS)
    wanted = other.encode(TEXTS, show_progress_bar=False)
    np.testing.assert_allclose(mine.embed(TEXTS, precision="float32"), wanted, rtol=0, atol=1e-5)


def test_what_has_no_counterpart_is_said(write: Write) -> None:
    pooling = MEAN | {"include_prompt": False}
    assert resolve(str(write(pooling, "Dense", prompts=PROMPTS))).usage.remarks == (
        "left out, no counterpart here: module Dense",
        "its pooling leaves a prompt out; here it is pooled with the text",
    )


@pytest.mark.parametrize(
    ("pooling", "name"),
    [
        ({"pooling_mode_max_tokens": True}, "max"),
        ({"pooling_mode": ["cls", "mean"]}, "cls+mean"),
        ({"pooling_mode": "lasttoken"}, "lasttoken"),
    ],
)
def test_a_pooling_that_is_not_known_is_refused_unless_another_is_asked_for(
    write: Write, pooling: dict[str, Any], name: str
) -> None:
    folder = write(pooling, "Normalize")
    with pytest.raises(WeightsError, match=rf"expected pooling mean or cls, found {name.replace('+', '.')} in its fol"):
        load_encoder(folder)
    assert load_encoder(folder, device="cpu", pooling="cls").embed(TEXTS).shape == (5, 32)


def test_the_name_of_a_prompt_is_not_taken_for_its_text(write: Write) -> None:
    encoder = load_encoder(write(MEAN, prompts=PROMPTS), device="cpu")
    with pytest.raises(WeightsError, match="expected a text, found 'query', the name of one; write 'query: '"):
        encoder.embed(TEXTS, prompt="query")


@pytest.mark.parametrize("file", ["modules.json", "1_Pooling/config.json", "config_sentence_transformers.json"])
@pytest.mark.parametrize("content", [b"", b"3", b"\xff\xfe", b"[" * 10_000])
def test_a_file_that_cannot_be_read_is_named(write: Write, file: str, content: bytes) -> None:
    folder = write(MEAN, prompts=PROMPTS)
    (folder / file).write_bytes(content)
    with pytest.raises(WeightsError, match=rf"{file}: expected "):
        resolve(str(folder))


def test_a_recipe_follows_the_folder_and_its_run_opens_elsewhere(write: Write, toy_data: Path, tmp_path: Path) -> None:
    folder = write(CLS, "Normalize", prompts=PROMPTS, default_prompt_name="query")
    recipe = check_recipe(toy_table(folder, epochs=1), toy_data)
    assert [remark for remark in set_up(recipe).remarks if remark.startswith("encoder")] == [
        f"encoder {folder}: pooling 'cls', as its folder says",
        f"encoder {folder}: 'query: ' stands before every text, as its folder says",
    ]
    train(recipe, tmp_path / "run", with_floors=False)
    record = json.loads((tmp_path / "run" / "run.json").read_text())["encoder"]
    assert (record["pooling"], record["prompt"]) == ("cls", "query: ")
    found = load(tmp_path / "run").embed(TEXTS, precision="float32")
    other = SentenceTransformer(str(tmp_path / "run" / "best" / "encoder"), device="cpu")
    np.testing.assert_allclose(found, other.encode(TEXTS, show_progress_bar=False), rtol=0, atol=1e-5)


def test_a_recipe_can_say_otherwise(write: Write, toy_data: Path) -> None:
    folder = write(CLS, "Normalize", prompts=PROMPTS, default_prompt_name="query")
    table = toy_table(folder)
    table["encoder"] |= {"pooling": "mean", "prompt": "passage: "}
    setup = set_up(check_recipe(table, toy_data))
    assert (setup.model.pooling, setup.model.tokenizer.prompt) == ("mean", "passage: ")
    plain = set_up(check_recipe(toy_table(folder) | {"encoder": {**table["encoder"], "prompt": ""}}, toy_data))
    texts = [made.texts["sentiment", "train"].lengths() for made in (setup, plain)]
    assert set((texts[0] - texts[1]).tolist()) == {len(setup.model.tokenizer.backend.encode("passage:").ids) - 2}
