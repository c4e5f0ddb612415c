"""From text to token ids, on the `tokenizers` library.

Special tokens and the form of a pair come from the tokenizer's own template, found by asking it once. The limit on
length is ours: what `tokenizer.json` says of truncation and padding is ignored.
"""

import json
from collections.abc import Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer as Backend
from tokenizers import normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece

from minbert.errors import DataError, WeightsError

Array = npt.NDArray[np.int64]


class Tokens(NamedTuple):
    """One sequence as the encoder reads it, special tokens included."""

    ids: Array
    segments: Array


class TokenTable:
    """The ids of many texts in one flat array, without special tokens; row i is `table[i]`."""

    def __init__(self, rows: Sequence[Sequence[int]]) -> None:
        self.offsets = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum([len(row) for row in rows], out=self.offsets[1:])
        self.flat = np.fromiter((i for row in rows for i in row), dtype=np.int32, count=int(self.offsets[-1]))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> Array:
        return self.flat[self.offsets[row] : self.offsets[row + 1]].astype(np.int64)

    @property
    def lengths(self) -> Array:
        """The number of ids of each row."""
        return np.diff(self.offsets)


class Template(NamedTuple):
    """The special tokens around one text or between two, as (id, segment) pairs, and the segments of the texts."""

    gaps: tuple[Tokens, ...]
    segments: tuple[int, ...]

    @property
    def extra(self) -> int:
        """How many special tokens the template adds."""
        return sum(len(gap.ids) for gap in self.gaps)


class Tokenizer:
    """Turns texts into ids, and ids into sequences with special tokens.

    Args:
        backend: a tokenizer of the `tokenizers` library with a template for one text and for two.
        max_tokens: the limit on a sequence, special tokens included, 8 or more.

    Attributes:
        prompt: stands before every text; empty: none.
        prompts: those that the encoder was trained with, by name.
    """

    prompt: str = ""
    prompts: Mapping[str, str] = {}

    def __init__(self, backend: Backend, max_tokens: int) -> None:
        backend.no_truncation()
        backend.no_padding()
        self.backend = backend
        self.max_tokens = max_tokens
        self.single = _probe(backend, 1)
        self.pair = _probe(backend, 2)

    def table(self, texts: Sequence[str], chunk: int = 8192) -> TokenTable:
        """The ids of each text behind the prompt, uncut and without special tokens. Uses all threads.

        Raises:
            DataError: what is no text: no string, or half of a surrogate pair in it.
        """
        rows: list[Sequence[int]] = []
        for start in range(0, len(texts), chunk):
            part = list(texts[start : start + chunk])
            try:
                given = [self.prompt + text for text in part] if self.prompt else part
                batch = self.backend.encode_batch_fast(given, add_special_tokens=False)
            except TypeError as fault:
                odd = [text for text in part if not _is_text(text)]
                raise DataError([f"expected text in UTF-8, found {text!r:.60}; repair it" for text in odd]) from fault
            rows.extend(encoding.ids for encoding in batch)
        return TokenTable(rows)

    def alone(self, text: str) -> Tokens:
        """One text as `sequence` makes it, in fewer steps: for one short text each of them counts.

        Raises:
            DataError: as in `table`.
        """
        try:
            encoding = self.backend.encode(self.prompt + text)
        except TypeError:
            encoding = None  # `table` says what is wrong
        if encoding is None or len(encoding) > self.max_tokens:
            return self.sequence(self.table([text])[0])
        return Tokens(np.array(encoding.ids, dtype=np.int64), np.array(encoding.type_ids, dtype=np.int64))

    def with_prompt(self, prompt: str) -> "Tokenizer":
        """The same tokenizer with another prompt; empty: none.

        Raises:
            WeightsError: it is the name of a prompt, not its text.
        """
        if prompt in self.prompts:
            raise WeightsError(
                f"prompt: expected a text, found {prompt!r}, the name of one; write {self.prompts[prompt]!r}"
            )
        other = copy(self)
        other.prompt = prompt
        return other

    def named_prompts(self) -> tuple[dict[str, str], str | None]:
        """All prompts by name, the one in force among them, and the name of that one."""
        if not self.prompt:
            return dict(self.prompts), None
        name = next((name for name, text in self.prompts.items() if text == self.prompt), "default")
        return {**self.prompts, name: self.prompt}, name

    def sequence(self, *parts: Array) -> Tokens:
        """One text, or two joined as the template says, cut to `max_tokens`; a pair loses from its longer side."""
        template = self.single if len(parts) == 1 else self.pair
        kept = cut([len(part) for part in parts], self.max_tokens - template.extra)
        ids, segments = [template.gaps[0].ids], [template.gaps[0].segments]
        for part, length, segment, gap in zip(parts, kept, template.segments, template.gaps[1:], strict=True):
            ids += [part[:length], gap.ids]
            segments += [np.full(length, segment, dtype=np.int64), gap.segments]
        return Tokens(np.concatenate(ids), np.concatenate(segments))

    def is_cut(self, *lengths: int) -> bool:
        """Whether a text (one length) or a joined pair (two) is over the limit."""
        template = self.single if len(lengths) == 1 else self.pair
        return sum(lengths) + template.extra > self.max_tokens

    def words(self, ids: Sequence[int]) -> list[str]:
        """The pieces that the ids stand for."""
        return [self.backend.id_to_token(int(i)) or "" for i in ids]

    def save(self, path: Path) -> None:
        """Writes `tokenizer.json`."""
        # Written here and not by the library, whose error for a full disk is no OSError.
        path.write_text(self.backend.to_str(pretty=True), encoding="utf-8")


def _is_text(text: object) -> bool:
    return isinstance(text, str) and not any("\ud800" <= letter <= "\udfff" for letter in text)


def cut(lengths: Sequence[int], room: int) -> list[int]:
    """The lengths that fit into `room`: the longer side loses first, the second of two equals before the first."""
    if len(lengths) == 1:
        return [min(lengths[0], room)]
    first, second = lengths
    excess = max(0, first + second - room)
    longer = min(excess, abs(first - second))
    first, second = (first - longer, second) if first > second else (first, second - longer)
    rest = excess - longer
    return [first - rest // 2, second - (rest - rest // 2)]


def _probe(backend: Backend, texts: int) -> Template:
    """Asks the tokenizer for one text or a pair, and reads off what it put around and between."""
    encoding = backend.encode("a") if texts == 1 else backend.encode("a", "a")
    ids, types, sequences = encoding.ids, encoding.type_ids, encoding.sequence_ids
    special = encoding.special_tokens_mask
    gaps: list[list[tuple[int, int]]] = [[]]
    segments: list[int] = []
    for token, kind, sequence, is_special in zip(ids, types, sequences, special, strict=True):
        if is_special:
            gaps[-1].append((token, kind))
        elif sequence == len(segments):
            segments.append(kind)
            gaps.append([])
    if len(segments) != texts:
        raise WeightsError(f"tokenizer: expected a template for {texts} text(s), found none; add a post_processor")
    return Template(
        tuple(Tokens(*np.array(gap, dtype=np.int64).reshape(-1, 2).T.copy()) for gap in gaps), tuple(segments)
    )


def load_tokenizer(file: Path, max_tokens: int, lowercase: bool | None = None) -> Tokenizer:
    """Opens a `tokenizer.json`, or builds a BERT tokenizer from a `vocab.txt`.

    Args:
        file: the file; its suffix says which of the two it is.
        max_tokens: the limit on a sequence, special tokens included.
        lowercase: for a `vocab.txt`; None: as `tokenizer_config.json` beside it says, else True.

    Raises:
        WeightsError: the file cannot be read as a tokenizer.
    """
    try:
        if file.suffix == ".json":
            return Tokenizer(Backend.from_file(str(file)), max_tokens)
        return Tokenizer(_from_vocabulary(file, lowercase), max_tokens)
    except WeightsError:
        raise
    except Exception as fault:  # the library raises plain Exception
        raise WeightsError(f"{file}: expected a tokenizer, found what cannot be read ({fault}); get it anew") from fault


def _from_vocabulary(file: Path, lowercase: bool | None) -> Backend:
    """The tokenizer of BERT over a list of pieces, one a line."""
    # Not splitlines: it would also cut at U+2028 and its like, which are pieces of multilingual vocabularies.
    pieces = file.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    config = file.with_name("tokenizer_config.json")
    if lowercase is None:
        lowercase = json.loads(config.read_text()).get("do_lower_case", True) if config.exists() else True
    missing = [piece for piece in ("[UNK]", "[CLS]", "[SEP]") if piece not in vocabulary]
    if missing:
        raise WeightsError(f"{file}: expected the pieces {', '.join(missing)}, found none; is it a BERT vocabulary?")
    backend = Backend(WordPiece(vocabulary, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=bool(lowercase))
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = [(piece, vocabulary[piece]) for piece in ("[CLS]", "[SEP]")]
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1", special_tokens=special
    )
    backend.add_special_tokens([p for p in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]") if p in vocabulary])
    return backend
