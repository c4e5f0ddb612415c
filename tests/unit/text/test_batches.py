"""Which rows a step gets, and in what form they stand in a pack."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Backend
from tokenizers import pre_tokenizers, processors
from tokenizers.models import WordLevel

from minbert.text.batches import Batch, Forms, Texts, epoch_rows, shuffled, texts_of
from minbert.text.tokenizer import Tokenizer

WHOLE, APART, BOTH = Forms(whole=True, apart=False), Forms(whole=False, apart=True), Forms(whole=True, apart=True)
POOLS = st.lists(st.integers(0, 10**6), min_size=1, max_size=25, unique=True).map(lambda rows: np.array(rows))
SEEDS = st.integers(0, 2**40)
ROWS = np.arange(100, 110)
law = settings(deadline=None, derandomize=True)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    pieces = ["[UNK]", "[CLS]", "[SEP]", *"abcdefgh"]
    backend = Backend(WordLevel({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 1), ("[SEP]", 2)],
    )
    return Tokenizer(backend, 8)


@pytest.fixture(scope="module")
def pairs(tokenizer: Tokenizer) -> Texts:
    first = ["a b c d e f g h", "b", "c d e", "d"]
    second = ["e", "f g h", "b", "d"]
    return texts_of([first, second], tokenizer)


def written(texts: Texts, batch: Batch) -> list[str]:
    """The sequences of a batch in the order in which they were given."""
    parts = batch.pack.ids.split(batch.pack.lengths)
    return [" ".join(texts.tokenizer.words(parts[place].tolist())) for place in batch.pack.index.tolist()]


class TestForms:
    def test_whole_joins_a_pair(self, pairs: Texts) -> None:
        found = written(pairs, pairs.batch(np.array([2, 1]), WHOLE))
        assert found == ["[CLS] c d e [SEP] b [SEP]", "[CLS] b [SEP] f g h [SEP]"]

    def test_apart_gives_first_texts_then_second_texts(self, pairs: Texts) -> None:
        found = written(pairs, pairs.batch(np.array([2, 1]), APART))
        assert found == ["[CLS] c d e [SEP]", "[CLS] b [SEP]", "[CLS] b [SEP]", "[CLS] f g h [SEP]"]

    def test_both_forms_stand_in_one_pack(self, pairs: Texts) -> None:
        rows = np.array([3, 0, 1])
        both = pairs.batch(rows, BOTH)
        assert written(pairs, both) == written(pairs, pairs.batch(rows, WHOLE)) + written(
            pairs, pairs.batch(rows, APART)
        )
        assert both.forms == BOTH and len(both.pack) == 9

    def test_cuts_are_counted_per_form(self, pairs: Texts) -> None:
        # Room for 6 in a single text, for 5 in a pair: only row 0 is longer, as a whole and in its first text.
        assert [pairs.cuts(form) for form in (WHOLE, APART, BOTH)] == [1, 1, 2]
        assert max(pairs.batch(np.arange(4), BOTH).pack.lengths) == 8

    def test_lengths_are_those_of_all_texts_of_a_row(self, pairs: Texts) -> None:
        assert pairs.lengths().tolist() == [9, 4, 4, 2] and len(pairs) == 4

    def test_equal_texts_have_equal_hashes_whatever_their_column(self, pairs: Texts) -> None:
        hashes = pairs.hashes
        assert hashes.shape == (4, 2)
        assert hashes[3, 0] == hashes[3, 1] and hashes[1, 0] == hashes[2, 1]
        assert len(set(hashes.flatten().tolist())) == 6

    def test_labels_rows_and_hashes_follow_the_rows(self, pairs: Texts) -> None:
        rows = np.array([3, 1, 3])
        batch = pairs.batch(rows, WHOLE, torch.tensor([10.0, 11.0, 12.0, 13.0])).to("cpu")
        assert batch.labels is not None and batch.labels.tolist() == [13, 11, 13]
        assert batch.rows.tolist() == [3, 1, 3] and torch.equal(batch.hashes, pairs.hashes[[3, 1, 3]])
        assert pairs.batch(rows, WHOLE).to("cpu").labels is None

    def test_texts_of_one_column_read_the_same_whole_and_apart(self, tokenizer: Tokenizer) -> None:
        texts = texts_of([["a", "b c", ""]], tokenizer)
        rows = np.arange(3)
        assert written(texts, texts.batch(rows, WHOLE)) == written(texts, texts.batch(rows, APART))
        assert written(texts, texts.batch(rows, WHOLE))[2] == "[CLS] [SEP]"

    def test_no_rows_at_all_have_shapes(self, tokenizer: Tokenizer) -> None:
        texts = texts_of([[], []], tokenizer)
        assert len(texts) == 0 and texts.hashes.shape == (0, 2) and texts.lengths().shape == (0,)


class TestStream:
    @law
    @given(POOLS, st.integers(1, 60), SEEDS, st.integers(1, 6))
    def test_no_row_comes_back_before_all_were_seen(
        self, pool: np.ndarray, samples: int, seed: int, epochs: int
    ) -> None:
        epoch = [epoch_rows(pool, samples, number, "stream", seed, "stage", "task") for number in range(epochs)]
        assert [len(rows) for rows in epoch] == [samples] * epochs
        stream = np.concatenate(epoch)
        for start in range(0, len(stream), len(pool)):
            turn = stream[start : start + len(pool)]
            assert len(set(turn.tolist())) == len(turn) and set(turn.tolist()) <= set(pool.tolist())

    def test_an_epoch_does_not_depend_on_those_before(self) -> None:
        assert epoch_rows(ROWS, 7, 5, "stream", 0, "s").tolist() == epoch_rows(ROWS, 7, 5, "stream", 0, "s").tolist()

    def test_passes_are_shuffled_anew(self) -> None:
        epochs = {tuple(epoch_rows(ROWS, 10, number, "stream", 0, "s").tolist()) for number in range(8)}
        assert len(epochs) == 8 and all(sorted(rows) == ROWS.tolist() for rows in epochs)

    def test_seed_stage_and_task_each_give_another_order(self) -> None:
        names = [(0, "s", "t"), (1, "s", "t"), (0, "other", "t"), (0, "s", "other")]
        orders = {tuple(epoch_rows(ROWS, 10, 0, "stream", seed, *rest).tolist()) for seed, *rest in names}
        assert len(orders) == 4


class TestOnce:
    @law
    @given(POOLS, st.integers(1, 24), SEEDS)
    def test_one_subset_for_all_epochs(self, pool: np.ndarray, samples: int, seed: int) -> None:
        samples = min(samples, len(pool))
        epochs = [epoch_rows(pool, samples, number, "once", seed, "s") for number in range(4)]
        first = sorted(epochs[0].tolist())
        assert len(set(first)) == samples and set(first) <= set(pool.tolist())
        assert all(sorted(rows.tolist()) == first for rows in epochs)

    def test_the_subset_is_shuffled_anew_each_epoch(self) -> None:
        epochs = {tuple(epoch_rows(ROWS, 8, number, "once", 0, "s").tolist()) for number in range(8)}
        assert len(epochs) == 8

    def test_seeds_choose_other_subsets(self) -> None:
        subsets = {frozenset(epoch_rows(ROWS, 5, 0, "once", seed, "s").tolist()) for seed in range(20)}
        assert len(subsets) > 10

    @law
    @given(POOLS, st.integers(1, 60), SEEDS)
    def test_more_samples_than_rows_means_further_passes(self, pool: np.ndarray, more: int, seed: int) -> None:
        samples = len(pool) + more
        once, stream = (epoch_rows(pool, samples, 0, draw, seed, "s") for draw in ("once", "stream"))
        assert np.array_equal(once, stream) and len(once) == samples
        counts = Counter(once.tolist())
        assert set(counts) == set(pool.tolist()) and max(counts.values()) <= min(counts.values()) + 1


@law
@given(POOLS, SEEDS)
def test_shuffled_keeps_every_row_and_the_pool_as_it_was(pool: np.ndarray, seed: int) -> None:
    before = pool.copy()
    assert sorted(shuffled(pool, seed, "a", 1).tolist()) == sorted(pool.tolist())
    assert np.array_equal(pool, before)


def test_every_row_is_as_likely_first() -> None:
    counts = Counter(int(shuffled(ROWS, seed, "s")[0]) for seed in range(2000))
    assert len(counts) == 10 and max(counts.values()) < 270 and min(counts.values()) > 140
