"""`load_encoder`: an encoder with its tokenizer, for embeddings and for looking inside."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from minbert.encoder import AskedPooling, Encoder, Pooling, choose_precision, device_of, load_folder, resolve
from minbert.errors import DataError
from minbert.inference.forward import Advance, embed_one, embed_rows, silent
from minbert.text.batches import texts_of
from minbert.text.packed import pack
from minbert.text.tokenizer import Tokenizer, Tokens

Array = npt.NDArray[np.float32]
Text = str | tuple[str, str]
Precision = Literal["auto", "float32", "bfloat16"]
TINY = 1e-12
"""The least length that a vector is divided by."""


class SentenceEncoder:
    """An encoder with its tokenizer.

    Args:
        encoder: the encoder.
        tokenizer: its tokenizer.
        pooling: of `embed`, where it is not told otherwise.
        normalize: the same.
    """

    def __init__(
        self, encoder: Encoder, tokenizer: Tokenizer, pooling: Pooling = "mean", normalize: bool = True
    ) -> None:
        self.encoder = encoder.eval()
        self.tokenizer = tokenizer
        self.pooling: Pooling = pooling
        self.normalize = normalize

    def embed(
        self,
        texts: Sequence[str],
        pooling: Pooling | None = None,
        normalize: bool | None = None,
        precision: Precision = "auto",
        advance: Advance = silent,
        prompt: str | None = None,
    ) -> Array:
        """One vector per text; equal texts are computed once.

        Args:
            texts: any number; a text over the limit is cut.
            pooling: `mean`, `cls` or `pooler`; None: the encoder's own.
            normalize: to length 1, so that a dot product is a cosine; None: as the encoder's folder says, else yes.
            precision: `auto`, `float32` or `bfloat16`, for the matrix products.
            advance: hears the number of tokens done.
            prompt: stands before each text, empty: none; None: the encoder's own.

        Returns:
            float32, (texts, width).

        Raises:
            DataError: one text instead of a list, or what is no text; names the places.
        """
        if isinstance(texts, str):
            raise DataError(f"expected a list of texts, found one text, {texts!r:.60}; put it in a list")
        wrong = [i for i, text in enumerate(texts) if not isinstance(text, str)]
        if wrong:
            raise DataError([f"texts[{i}]: expected a string, found {texts[i]!r:.60}" for i in wrong])
        distinct = list(dict.fromkeys(texts))
        if not distinct:
            return np.empty((0, self.encoder.width), dtype=np.float32)
        tokenizer = self.tokenizer if prompt is None else self.tokenizer.with_prompt(prompt)
        result: Array = self._vectors(distinct, tokenizer, pooling or self.pooling, precision, advance).numpy()
        if self.normalize if normalize is None else normalize:
            lengths = np.sqrt(np.einsum("ij,ij->i", result, result))
            result = result / np.maximum(lengths, TINY)[:, None]
        if len(distinct) == len(texts):
            return result
        place = {text: i for i, text in enumerate(distinct)}
        return result[[place[text] for text in texts]]

    def _vectors(
        self, texts: Sequence[str], tokenizer: Tokenizer, how: Pooling, precision: Precision, advance: Advance
    ) -> Tensor:
        device = self.encoder.device
        kind = choose_precision(precision, device)
        if len(texts) > 1:
            return embed_rows(self.encoder, texts_of([texts], tokenizer), how, advance, kind)
        packed = pack([tokenizer.alone(texts[0])]).to(device)
        vector = embed_one(self.encoder, packed, how, kind)
        advance(packed.lengths[0])
        return vector

    @torch.inference_mode()
    def hidden(self, texts: Sequence[Text]) -> list[Array]:
        """The last layer's vectors of each text or joined pair, special tokens included; always in float32.

        Args:
            texts: strings, or tuples of two for pairs.

        Returns:
            One float32 array (tokens, width) per text.
        """
        result: list[Array] = []
        device = self.encoder.device
        for start in range(0, len(texts), 64):
            packed = pack([self._sequence(text) for text in texts[start : start + 64]]).to(device)
            hidden = self.encoder(packed).float().cpu()
            parts = hidden.split(list(packed.lengths))
            result += [parts[place].numpy() for place in packed.index.tolist()]
        return result

    def tokens(self, text: Text) -> list[str]:
        """The pieces that the encoder reads, special tokens included: `["[CLS]", "un", "##bel", ...]`."""
        return self.tokenizer.words(self._sequence(text).ids.tolist())

    def _sequence(self, text: Text) -> Tokens:
        parts = (text,) if isinstance(text, str) else text
        table = self.tokenizer.table(parts)
        return self.tokenizer.sequence(*(table[i] for i in range(len(parts))))


def load_encoder(
    source: str | Path,
    max_tokens: int | None = None,
    device: str = "auto",
    pooling: AskedPooling = "auto",
    prompt: str = "auto",
) -> SentenceEncoder:
    """Opens an encoder.

    Args:
        source: a known name (`minilm`, `mpnet`, `tiny`), a folder, a run, or `owner/name@revision` on the hub.
        max_tokens: the limit on a sequence; None: that of its sentence-transformers files, else the config's.
        device: `auto`, `cpu`, `cuda`, `mps`, ...
        pooling: of `embed`; `auto`: as its sentence-transformers files say, else `mean`.
        prompt: what stands before every text; `auto`: as they say, else nothing.

    Raises:
        WeightsError: not found, damaged, tensors that do not fit, or a pooling that minbert does not know.
    """
    found = resolve(str(source))
    limit = found.longest if max_tokens is None else max_tokens
    loaded = load_folder(found, limit, pooling=pooling, prompt=prompt)
    place, normalize = device_of(device), found.usage.normalize
    return SentenceEncoder(loaded.encoder.to(place), loaded.tokenizer, loaded.pooling, normalize)
