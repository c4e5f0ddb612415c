"""Embeddings and hidden vectors: one per text, in the order given, whatever stands beside."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minbert.encoder import Pooling
from minbert.encoder.straight import OFTEN, OFTEN_OF_A_LENGTH
from minbert.errors import DataError, WeightsError
from minbert.inference import SentenceEncoder, load_encoder, packs_of
from minbert.inference.forward import EVEN

WORDS = ["the", "a", "of", "to", "is", "it", "not", "how", "do", "i", "what", "good", "bad", "film", "food", "very"]
TEXT = st.lists(st.sampled_from([*WORDS, "xyz", "?", "é"]), max_size=30).map(" ".join)
TEXTS = ["a good film", "", "a good film", "what is it?", "how do i do it, and what does it do", "", "bad food"]
POOLINGS: list[Pooling] = ["mean", "cls", "pooler"]


@pytest.fixture(scope="module")
def tiny(tiny_bert: Path) -> SentenceEncoder:
    return load_encoder(tiny_bert, device="cpu")


@pytest.fixture(scope="module")
def real(minilm: Path) -> SentenceEncoder:
    return load_encoder(minilm, 128, device="cpu")


@pytest.fixture(scope="module")
def questions(data: Path) -> list[str]:
    with (data / "quora" / "dev.tsv").open(encoding="utf-8", newline="") as file:
        rows = [row for row, _ in zip(csv.DictReader(file, delimiter="\t"), range(60), strict=False)]
    return [row["sentence1"] for row in rows]


class TestEmbed:
    @pytest.mark.parametrize("how", POOLINGS)
    def test_each_text_is_what_it_is_alone(self, tiny: SentenceEncoder, how: Pooling) -> None:
        together = tiny.embed(TEXTS, how, precision="float32")
        alone = np.concatenate([tiny.embed([text], how, precision="float32") for text in TEXTS])
        assert together.dtype == np.float32 and together.shape == (7, 32)
        np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5)

    @settings(max_examples=40, deadline=None, derandomize=True)
    @given(texts=st.lists(TEXT, max_size=12))
    def test_the_order_and_the_number_are_those_of_the_texts(self, tiny: SentenceEncoder, texts: list[str]) -> None:
        found = tiny.embed(texts, precision="float32")
        assert found.shape == (len(texts), 32)
        for text, vector in zip(texts, found, strict=True):
            np.testing.assert_allclose(vector, tiny.embed([text], precision="float32")[0], rtol=0, atol=1e-5)

    def test_equal_texts_are_computed_once_and_equal(self, tiny: SentenceEncoder) -> None:
        work: list[int] = []
        found = tiny.embed(["a film"] * 9 + ["the film", "a film"], precision="float32", advance=work.append)
        assert sum(work) == 2 * 4
        assert len(np.unique(found, axis=0)) == 2 and np.array_equal(found[0], found[10])

    def test_one_text_is_no_list_of_texts(self, tiny: SentenceEncoder) -> None:
        with pytest.raises(DataError, match="expected a list of texts, found one text, 'a text'; put it in a list"):
            tiny.embed("a text")

    def test_an_empty_list_has_the_width(self, tiny: SentenceEncoder) -> None:
        assert tiny.embed([]).shape == (0, 32) and tiny.embed([]).dtype == np.float32

    def test_vectors_have_length_one_unless_told_otherwise(self, tiny: SentenceEncoder) -> None:
        unit = tiny.embed(TEXTS, precision="float32")
        plain = tiny.embed(TEXTS, normalize=False, precision="float32")
        lengths = np.linalg.norm(plain, axis=1, keepdims=True)
        np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, rtol=0, atol=1e-6)
        np.testing.assert_allclose(unit, plain / lengths, rtol=0, atol=1e-6)
        assert abs(lengths - 1).max() > 0.1

    @pytest.mark.parametrize("how", POOLINGS)
    def test_pooling_is_that_of_the_hidden_vectors(self, tiny: SentenceEncoder, how: Pooling) -> None:
        vectors = tiny.embed(TEXTS, how, normalize=False, precision="float32")
        for hidden, vector in zip(tiny.hidden(TEXTS), vectors, strict=True):
            first = torch.from_numpy(hidden[:1])
            with torch.inference_mode():
                wanted = {"mean": hidden.mean(0), "cls": hidden[0], "pooler": tiny.encoder.pooler(first)[0].numpy()}
            np.testing.assert_allclose(vector, wanted[how], rtol=0, atol=1e-5)

    def test_a_text_over_the_limit_is_cut(self, tiny: SentenceEncoder) -> None:
        long, other = " ".join(["film"] * 500), " ".join(["film"] * 62)
        found = tiny.embed([long, other], precision="float32")
        np.testing.assert_allclose(found[0], found[1], rtol=0, atol=1e-6)

    @pytest.mark.parametrize("training", [True, False])
    def test_it_leaves_the_encoder_as_it_was_and_drops_nothing(self, tiny_bert: Path, training: bool) -> None:
        encoder = load_encoder(tiny_bert)
        wanted = encoder.embed(TEXTS, precision="float32")
        encoder.encoder.train(training)
        np.testing.assert_array_equal(encoder.embed(TEXTS, precision="float32"), wanted)
        assert encoder.encoder.training == training and encoder.encoder.precision == torch.float32
        encoder.embed(TEXTS, precision="bfloat16")
        assert encoder.encoder.precision == torch.float32

    def test_bfloat16_stays_near_float32_on_real_weights(self, real: SentenceEncoder, questions: list[str]) -> None:
        full, half = (real.embed(questions, precision=name) for name in ("float32", "bfloat16"))
        assert half.dtype == np.float32 and not np.array_equal(full, half)
        assert (full * half).sum(1).min() > 0.999

    def test_a_text_that_came_often_has_the_vector_that_it_had_at_first(
        self, real: SentenceEncoder, questions: list[str]
    ) -> None:
        chosen = [questions[0], " ".join(questions[:4])]
        exact, first = real.embed(chosen, precision="float32"), real.embed(chosen, precision="bfloat16")
        for text, full, half in zip(chosen, exact, first, strict=True):
            alone = real.embed([text], precision="float32")
            for _ in range(OFTEN + OFTEN_OF_A_LENGTH + 2):
                (found,) = real.embed([text], precision="bfloat16")
                assert full @ found > 0.999 and half @ found > 0.9999
            np.testing.assert_array_equal(real.embed([text], precision="float32"), alone)


class TestHidden:
    def test_each_is_what_it_is_alone_pairs_among_them(self, tiny: SentenceEncoder) -> None:
        texts = [*TEXTS, ("a film", "bad food"), ("", "what?"), ("bad food", "a film")] * 10
        together = tiny.hidden(texts)
        for text, hidden in zip(texts[:10], together, strict=False):
            (alone,) = tiny.hidden([text])
            assert hidden.dtype == np.float32 and hidden.shape == (len(tiny.tokens(text)), 32)
            np.testing.assert_allclose(hidden, alone, rtol=0, atol=1e-5)
        for one, again in zip(together[:60], together[10:], strict=False):
            np.testing.assert_allclose(one, again, rtol=0, atol=1e-5)

    def test_it_is_float32_whatever_the_precision(self, tiny: SentenceEncoder) -> None:
        before = tiny.hidden(TEXTS)
        tiny.encoder.precision = torch.bfloat16
        after = tiny.hidden(TEXTS)
        tiny.encoder.precision = torch.float32
        assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))

    def test_no_texts_give_no_vectors(self, tiny: SentenceEncoder) -> None:
        assert tiny.hidden([]) == []

    def test_the_order_of_a_pair_matters(self, tiny: SentenceEncoder) -> None:
        one, other = tiny.hidden([("a film", "bad food"), ("bad food", "a film")])
        assert abs(one - other).max() > 0.01


class TestTokens:
    def test_pieces_with_special_tokens(self, tiny: SentenceEncoder) -> None:
        assert tiny.tokens("A good filmy?") == ["[CLS]", "a", "good", "film", "##y", "?", "[SEP]"]
        assert tiny.tokens(("a", "food")) == ["[CLS]", "a", "[SEP]", "food", "[SEP]"]
        assert tiny.tokens("") == ["[CLS]", "[SEP]"]

    def test_pieces_of_the_real_vocabulary(self, real: SentenceEncoder) -> None:
        assert real.tokens("unbelievable, it's") == ["[CLS]", "unbelievable", ",", "it", "'", "s", "[SEP]"]
        assert len(real.tokens("word " * 500)) == 128


@settings(deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 300), max_size=60).map(np.array), st.integers(1, 600))
def test_packs_hold_every_row_once_sorted_and_within_the_budget(lengths: np.ndarray, budget: int) -> None:
    packs = list(packs_of(lengths.astype(np.int64), budget))
    rows = np.concatenate([np.empty(0, dtype=np.int64), *packs])
    assert sorted(rows.tolist()) == list(range(len(lengths)))
    assert (np.diff(lengths[rows]) >= 0).all()
    assert all(len(pack) == 1 or (lengths[pack] + 4).sum() <= budget for pack in packs)
    assert all(len(pack) <= EVEN or len(pack) % EVEN == 0 for pack in packs[:-1])


def test_a_wrong_name_or_limit_is_told(tiny_bert: Path) -> None:
    with pytest.raises(WeightsError, match="did you mean 'minilm'"):
        load_encoder("minlm")
    with pytest.raises(WeightsError, match="max_tokens: expected 8 to 64"):
        load_encoder(tiny_bert, 65)
