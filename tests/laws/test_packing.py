"""A pack holds what was given, and what a sequence gets never depends on its neighbours."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minbert.encoder import Bert, BertConfig, Pooling
from minbert.encoder.bert import fresh
from minbert.encoder.encoder import rounded
from minbert.encoder.pooling import pool
from minbert.text.packed import Packed, join, pack
from minbert.text.tokenizer import Tokens

SIZES = BertConfig(
    vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=24,
    max_position_embeddings=40,
)  # fmt: skip
law = settings(max_examples=50, deadline=None, derandomize=True)


def tokens(pieces: list[tuple[int, int]]) -> Tokens:
    return Tokens(*np.array(pieces, dtype=np.int64).T)


SEQUENCE = st.lists(st.tuples(st.integers(0, 49), st.integers(0, 1)), min_size=1, max_size=40).map(tokens)
SEQUENCES = st.lists(SEQUENCE, min_size=1, max_size=12)
POOLINGS: list[Pooling] = ["mean", "cls", "pooler"]


@pytest.fixture(scope="module")
def bert() -> Bert:
    bert = Bert(SIZES).eval()
    fresh(bert, 0.3, torch.Generator().manual_seed(1))
    return bert


def parts(packed: Packed, flat: torch.Tensor) -> list[torch.Tensor]:
    """What belongs to each sequence, in the order in which the sequences were given."""
    return [flat.split(packed.lengths)[place] for place in packed.index.tolist()]


@law
@given(SEQUENCES)
def test_a_pack_gives_back_each_sequence_in_the_order_given(sequences: list[Tokens]) -> None:
    packed = pack(sequences)
    assert len(packed) == len(sequences)
    for given_, ids, segments, positions in zip(
        sequences, *(parts(packed, flat) for flat in (packed.ids, packed.segments, packed.positions)), strict=True
    ):
        assert ids.tolist() == given_.ids.tolist()
        assert segments.tolist() == given_.segments.tolist()
        assert positions.tolist() == list(range(len(given_.ids)))


@law
@given(SEQUENCES)
def test_offsets_mark_sequences_sorted_by_length_equals_in_order(sequences: list[Tokens]) -> None:
    packed = pack(sequences)
    offsets = packed.offsets.tolist()
    assert offsets[0] == 0 and offsets[-1] == len(packed.ids) == sum(len(one.ids) for one in sequences)
    assert tuple(stop - start for start, stop in pairwise(offsets)) == packed.lengths
    assert list(packed.lengths) == sorted(packed.lengths)
    order = sorted(range(len(sequences)), key=lambda i: len(sequences[i].ids))
    assert [packed.index[i].item() for i in order] == list(range(len(sequences)))


@law
@given(st.permutations(range(7)), st.sampled_from(POOLINGS))
def test_pooled_vectors_come_in_the_order_of_the_rows(order: list[int], how: Pooling) -> None:
    packed = pack([tokens([(row, 0)] * (1 + row % 3)) for row in order])
    hidden = packed.ids[:, None].float()
    hidden = hidden if how == "mean" else hidden[packed.offsets[:-1]]
    assert pool(hidden, packed, how, torch.nn.Identity())[:, 0].tolist() == order


@law
@given(SEQUENCES)
def test_mean_pooling_is_the_mean_and_cls_the_first_token(sequences: list[Tokens]) -> None:
    packed = pack(sequences)
    hidden = torch.randn(len(packed.ids), 3, generator=torch.Generator().manual_seed(0))
    each = parts(packed, hidden)
    mean = pool(hidden, packed, "mean", torch.nn.Identity())
    first = pool(hidden[packed.offsets[:-1]], packed, "cls", torch.nn.Identity())
    torch.testing.assert_close(mean, torch.stack([part.mean(0) for part in each]), rtol=1e-5, atol=1e-6)
    assert torch.equal(first, torch.stack([part[0] for part in each]))


@law
@given(sequences=SEQUENCES)
@torch.inference_mode()
def test_a_sequence_in_company_is_what_it_is_alone(bert: Bert, sequences: list[Tokens]) -> None:
    packed = pack(sequences)
    together = parts(packed, bert(packed))
    for how in POOLINGS:
        vectors = bert.vectors(packed, how)
        alone = torch.cat([bert.vectors(pack([sequence]), how) for sequence in sequences])
        torch.testing.assert_close(vectors, alone, rtol=0, atol=1e-5)
    for sequence, hidden in zip(sequences, together, strict=True):
        torch.testing.assert_close(hidden, bert(pack([sequence])), rtol=0, atol=1e-5)


@law
@given(sequences=st.lists(SEQUENCE, min_size=2, max_size=8), neighbours=st.lists(SEQUENCE, min_size=1, max_size=8))
@torch.inference_mode()
def test_other_neighbours_change_nothing(bert: Bert, sequences: list[Tokens], neighbours: list[Tokens]) -> None:
    before, after = pack(sequences), pack([sequences[0], *neighbours])
    torch.testing.assert_close(parts(before, bert(before))[0], parts(after, bert(after))[0], rtol=0, atol=1e-5)


@law
@given(sequences=SEQUENCES)
def test_no_gradient_reaches_the_tokens_of_a_neighbour(bert: Bert, sequences: list[Tokens]) -> None:
    packed = pack(sequences)
    bert.zero_grad()
    parts(packed, bert(packed))[0].square().sum().backward()
    touched = set(bert.embeddings.word.weight.grad.to_dense().abs().sum(1).nonzero().flatten().tolist())
    assert touched <= set(sequences[0].ids.tolist())
    bert.zero_grad()


def test_an_order_of_the_rows_is_an_order_of_the_vectors(bert: Bert) -> None:
    rng = np.random.default_rng(0)
    rows = [tokens([(int(rng.integers(50)), 0)] * n) for n in rng.integers(1, 40, 20)]
    order = rng.permutation(20)
    with torch.inference_mode():
        straight, shuffled = bert.vectors(pack(rows), "mean"), bert.vectors(pack([rows[i] for i in order]), "mean")
    assert torch.equal(straight[order], shuffled)


HOWS = st.lists(st.lists(st.sampled_from(POOLINGS), min_size=1, max_size=2, unique=True), min_size=3, max_size=3)


@law
@given(groups=st.lists(SEQUENCES, min_size=1, max_size=3), how=HOWS)
def test_packs_that_go_together_get_the_vectors_and_masks_they_get_alone(
    bert: Bert, groups: list[list[Tokens]], how: list[list[Pooling]]
) -> None:
    bert.train()
    packs = [pack(sequences) for sequences in groups]
    together = bert.vectors_of(packs, how[: len(packs)], range(len(packs)))
    for number, (packed, vectors) in enumerate(zip(packs, together, strict=True)):
        (alone,) = bert.vectors_of([packed], [how[number]], [number])
        torch.testing.assert_close(vectors, alone, rtol=0, atol=1e-5)
    bert.eval()


@law
@given(sequences=SEQUENCES)
def test_a_pack_pooled_in_several_ways_is_pooled_as_in_each(bert: Bert, sequences: list[Tokens]) -> None:
    packed = pack(sequences)
    with torch.inference_mode():
        (several,) = bert.vectors_of([packed], [POOLINGS])
        for vectors, how in zip(several, POOLINGS, strict=True):
            torch.testing.assert_close(vectors, bert.vectors(packed, how), rtol=0, atol=1e-5)


def test_dropout_is_the_same_whether_gradients_are_kept_or_not(bert: Bert) -> None:
    bert.train()
    packed = pack([tokens([(1, 0)] * n) for n in (3, 9, 4)])
    kept = bert.vectors_of([packed], [["mean"]], [5])[0][0]
    with torch.no_grad():
        again = bert.vectors_of([packed], [["mean"]], [5])[0][0]
        other = bert.vectors_of([packed], [["mean"]], [6])[0][0]
    torch.testing.assert_close(kept.detach(), again, rtol=0, atol=1e-5)
    assert (kept - other).abs().max() > 1e-2
    bert.eval()


def test_a_pack_of_packs_says_where_each_sequence_is() -> None:
    packs = [pack([tokens([(1, 0)] * n) for n in sizes]) for sizes in ([3, 1], [2, 5, 2])]
    whole = join(packs)
    assert whole.lengths == (1, 3, 2, 2, 5) and whole.parts == (2, 3)
    assert whole.offsets.tolist() == [0, 1, 4, 6, 8, 13] and whole.index.tolist() == [1, 0, 2, 4, 3]


@pytest.mark.parametrize("tokens", [1, 63, 64, 65, 255, 256, 257, 1023, 1024, 1025, 4096, 5000])
def test_rows_are_rounded_up_by_little_and_to_few_numbers(tokens: int) -> None:
    assert tokens <= rounded(tokens) <= 1.13 * tokens
    assert rounded(rounded(tokens)) == rounded(tokens)
    assert len({rounded(other) for other in range(1024, 4097)}) < 100
