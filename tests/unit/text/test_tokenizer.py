"""Special tokens come from the tokenizer's own template; the limit and the cut are ours."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Backend
from tokenizers import normalizers, pre_tokenizers, processors
from tokenizers.models import WordLevel

from minbert.errors import DataError, WeightsError
from minbert.text.tokenizer import Tokenizer, TokenTable, cut, load_tokenizer

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "<s>", "</s>", *"abcdefgh"]
LENGTH = st.integers(0, 60)
law = settings(deadline=None, derandomize=True)


def words(single: str, pair: str) -> Backend:
    """A tokenizer of whole words with the given templates."""
    numbers = {piece: i for i, piece in enumerate(PIECES)}
    backend = Backend(WordLevel(numbers, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    special = [(piece, numbers[piece]) for piece in ("[CLS]", "[SEP]", "<s>", "</s>")]
    backend.post_processor = processors.TemplateProcessing(single=single, pair=pair, special_tokens=special)
    return backend


BERT = ("[CLS]:0 $A:0 [SEP]:0", "[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1")
DOUBLE = ("<s>:0 $A:0 </s>:0", "<s>:0 $A:0 </s>:0 </s>:0 $B:0 </s>:0")
BARE = ("$A:0", "$A:0 [SEP]:0 $B:1")
TEMPLATES = [BERT, DOUBLE, BARE]


def read(tokenizer: Tokenizer, *texts: str) -> tuple[list[str], list[int]]:
    table = tokenizer.table(texts)
    sequence = tokenizer.sequence(*(table[i] for i in range(len(texts))))
    return tokenizer.words(sequence.ids.tolist()), sequence.segments.tolist()


class TestTemplates:
    def test_bert(self) -> None:
        tokenizer = Tokenizer(words(*BERT), 16)
        assert read(tokenizer, "a b") == (["[CLS]", "a", "b", "[SEP]"], [0, 0, 0, 0])
        assert read(tokenizer, "a b", "c") == (["[CLS]", "a", "b", "[SEP]", "c", "[SEP]"], [0, 0, 0, 0, 1, 1])
        assert (tokenizer.single.extra, tokenizer.pair.extra) == (2, 3)

    def test_two_separators_between(self) -> None:
        tokenizer = Tokenizer(words(*DOUBLE), 16)
        assert read(tokenizer, "a b", "c") == (["<s>", "a", "b", "</s>", "</s>", "c", "</s>"], [0] * 7)
        assert tokenizer.pair.extra == 4

    @pytest.mark.parametrize("template", TEMPLATES)
    def test_a_sequence_is_what_the_backend_itself_gives(self, template: tuple[str, str]) -> None:
        tokenizer = Tokenizer(words(*template), 512)
        for texts in (["a b c"], ["a", "b c d"], ["", "a"], ["a", ""], ["", ""], [""], ["zebra a", "[SEP] b"]):
            wanted = tokenizer.backend.encode(*texts, add_special_tokens=True)
            assert read(tokenizer, *texts) == (wanted.tokens, wanted.type_ids)

    @pytest.mark.parametrize("template", TEMPLATES)
    def test_a_cut_pair_keeps_its_special_tokens_and_fills_the_limit(self, template: tuple[str, str]) -> None:
        tokenizer = Tokenizer(words(*template), 9)
        pieces, _ = read(tokenizer, "a a a a a a a a a a", "b b b b b b b b")
        assert len(pieces) == 9
        assert [p for p in pieces if p not in "ab"] == [p for p in read(tokenizer, "a", "b")[0] if p not in "ab"]

    @pytest.mark.parametrize("text", ["", "a", "a b c", "a b c d e f g h a b c d"])
    @pytest.mark.parametrize("template", [*TEMPLATES, None])
    def test_a_text_by_itself_is_read_as_among_others(self, template: tuple[str, str] | None, text: str) -> None:
        backend = words(*(template or BERT))
        if template is None:
            backend.post_processor = None
        tokenizer = Tokenizer(backend, 9).with_prompt("b b")
        wanted, found = tokenizer.sequence(tokenizer.table([text])[0]), tokenizer.alone(text)
        for one, other in zip(wanted, found, strict=True):
            np.testing.assert_array_equal(one, other, strict=True)

    def test_what_is_no_text_is_refused_by_itself_too(self) -> None:
        with pytest.raises(DataError, match="expected text in UTF-8"):
            Tokenizer(words(*BERT), 9).alone("a \ud800")

    def test_what_the_file_says_of_truncation_and_padding_is_ignored(self) -> None:
        backend = words(*BERT)
        backend.enable_truncation(4)
        backend.enable_padding(length=9)
        assert len(read(Tokenizer(backend, 512), "a b c d e f g h")[0]) == 10

    def test_a_tokenizer_that_swallows_the_text_is_refused(self) -> None:
        backend = words(*BERT)
        backend.normalizer = normalizers.Replace("a", "")
        with pytest.raises(WeightsError, match=r"expected a template for 1 text\(s\), found none"):
            Tokenizer(backend, 16)

    def test_without_a_template_nothing_is_put_around(self) -> None:
        backend = words(*BERT)
        backend.post_processor = None
        assert read(Tokenizer(backend, 16), "a b", "c")[0] == ["a", "b", "c"]


class TestCut:
    @law
    @given(LENGTH, st.integers(0, 80))
    def test_a_single_text_loses_its_end(self, length: int, room: int) -> None:
        assert cut([length], room) == [min(length, room)]

    @law
    @given(LENGTH, LENGTH, st.integers(0, 130))
    def test_a_pair_loses_tokens_one_by_one_from_the_longer_side(self, first: int, second: int, room: int) -> None:
        wanted = [first, second]
        while sum(wanted) > room:
            wanted[0 if wanted[0] > wanted[1] else 1] -= 1
        assert cut([first, second], room) == wanted

    @law
    @given(LENGTH, LENGTH, st.integers(0, 130))
    def test_it_fits_fills_the_room_and_spares_the_shorter(self, first: int, second: int, room: int) -> None:
        a, b = cut([first, second], room)
        assert 0 <= a <= first and 0 <= b <= second
        assert a + b == min(room, first + second)
        assert a == first or a >= b - 1
        assert b == second or b >= a - 1

    @law
    @given(st.lists(LENGTH, min_size=1, max_size=2), st.integers(8, 70))
    def test_is_cut_says_whether_something_was_lost(self, lengths: list[int], limit: int) -> None:
        sequence = SHARED(limit).sequence(*(np.zeros(n, dtype=np.int64) for n in lengths))
        lost = sum(lengths) + (2 if len(lengths) == 1 else 3) > len(sequence.ids)
        assert SHARED(limit).is_cut(*lengths) == lost
        assert len(sequence.ids) == len(sequence.segments) <= limit


def _shared() -> Callable[[int], Tokenizer]:
    backend = words(*BERT)
    return lambda limit: Tokenizer(backend, limit)


SHARED = _shared()


class TestTables:
    @law
    @given(st.lists(st.lists(st.integers(0, 2**31 - 1), max_size=9), max_size=9))
    def test_a_table_gives_back_its_rows(self, rows: list[list[int]]) -> None:
        table = TokenTable(rows)
        assert [table[i].tolist() for i in range(len(table))] == rows
        assert table.lengths.tolist() == [len(row) for row in rows]

    @pytest.mark.parametrize("chunk", [1, 2, 7, 100])
    def test_chunks_change_nothing(self, chunk: int) -> None:
        texts = ["a b", "", "c", "zebra", "d e f g", "a", "b b"]
        table = Tokenizer(words(*BERT), 16).table(texts, chunk)
        assert [table[i].tolist() for i in range(7)] == [[6, 7], [], [8], [1], [9, 10, 11, 12], [6], [7, 7]]

    def test_half_of_a_surrogate_pair_is_refused_by_name(self) -> None:
        with pytest.raises(DataError) as caught:
            Tokenizer(words(*BERT), 16).table(["a", "b \ud83d", "c", "\udc00"])
        assert caught.value.faults == (
            r"expected text in UTF-8, found 'b \ud83d'; repair it",
            r"expected text in UTF-8, found '\udc00'; repair it",
        )


class TestVocabularies:
    def write(self, folder: Path, text: str) -> Path:
        (folder / "vocab.txt").write_bytes(text.encode())
        return folder / "vocab.txt"

    @pytest.mark.parametrize(("config", "found"), [(None, "a"), ("true", "a"), ("false", "[UNK]")])
    def test_lowercase_as_the_config_beside_it_says(self, tmp_path: Path, config: str | None, found: str) -> None:
        file = self.write(tmp_path, "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n")
        if config:
            (tmp_path / "tokenizer_config.json").write_text(f'{{"do_lower_case": {config}}}')
        assert read(load_tokenizer(file, 16), "A")[0] == ["[CLS]", found, "[SEP]"]
        assert read(load_tokenizer(file, 16, lowercase=True), "A")[0][1] == "a"

    @pytest.mark.parametrize("end", ["\n", "\r\n"])
    @pytest.mark.parametrize("last", [True, False])
    def test_the_line_is_the_id(self, tmp_path: Path, end: str, last: bool) -> None:
        pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "\u2028", "a\x0b", "\x85", "\x1c", "a", "##b"]
        tokenizer = load_tokenizer(self.write(tmp_path, end.join(pieces) + end * last), 16)
        assert tokenizer.backend.get_vocab() == {piece: i for i, piece in enumerate(pieces)}
        assert read(tokenizer, "ab")[0] == ["[CLS]", "a", "##b", "[SEP]"]

    def test_missing_special_pieces_are_named(self, tmp_path: Path) -> None:
        with pytest.raises(WeightsError, match=r"expected the pieces \[CLS\], \[SEP\], found none"):
            load_tokenizer(self.write(tmp_path, "[UNK]\na\n"), 16)

    def test_a_missing_file_is_refused(self, tmp_path: Path) -> None:
        for name in ("tokenizer.json", "vocab.txt"):
            with pytest.raises(WeightsError, match=f"{name}: expected a tokenizer"):
                load_tokenizer(tmp_path / name, 16)

    def test_what_is_saved_reads_the_same(self, tmp_path: Path) -> None:
        tokenizer = Tokenizer(words(*DOUBLE), 16)
        tokenizer.save(tmp_path / "tokenizer.json")
        again = load_tokenizer(tmp_path / "tokenizer.json", 16)
        assert read(again, "a zebra", "b") == read(tokenizer, "a zebra", "b")
        again.save(tmp_path / "again.json")
        assert (tmp_path / "again.json").read_bytes() == (tmp_path / "tokenizer.json").read_bytes()
