"""`load_encoder`: an encoder with its tokenizer, for embeddings and for looking inside."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from minbert.encoder import Bert, Pooling, choose_precision, device_of, load_folder, resolve
from minbert.inference.forward import Advance, embed_rows, silent
from minbert.text.batches import texts_of
from minbert.text.packed import pack
from minbert.text.tokenizer import Tokenizer, Tokens

Array = npt.NDArray[np.float32]
Text = str | tuple[str, str]
Precision = Literal["auto", "float32", "bfloat16"]


class SentenceEncoder:
    """An encoder with its tokenizer.

    Args:
        encoder: the encoder.
        tokenizer: its tokenizer.
    """

    def __init__(self, encoder: Bert, tokenizer: Tokenizer) -> None:
        self.encoder = encoder.eval()
        self.tokenizer = tokenizer

    def embed(
        self,
        texts: Sequence[str],
        pooling: Pooling = "mean",
        normalize: bool = True,
        precision: Precision = "auto",
        advance: Advance = silent,
    ) -> Array:
        """One vector per text; equal texts are computed once.

        Args:
            texts: any number; a text over the limit is cut.
            pooling: `mean`, `cls` or `pooler`.
            normalize: to length 1, so that a dot product is a cosine.
            precision: `auto`, `float32` or `bfloat16`, for the matrix products.
            advance: hears the number of tokens done.

        Returns:
            float32, (texts, width).
        """
        distinct = list(dict.fromkeys(texts))
        if not distinct:
            return np.empty((0, self.encoder.width), dtype=np.float32)
        before = self.encoder.precision
        self.encoder.precision = choose_precision(precision, next(self.encoder.parameters()).device)
        try:
            vectors = embed_rows(self.encoder, texts_of([distinct], self.tokenizer), pooling, advance)
        finally:
            self.encoder.precision = before
        if normalize:
            vectors = F.normalize(vectors, dim=-1)
        place = {text: i for i, text in enumerate(distinct)}
        result: Array = vectors.numpy()[[place[text] for text in texts]]
        return result

    @torch.inference_mode()
    def hidden(self, texts: Sequence[Text]) -> list[Array]:
        """The last layer's vectors of each text or joined pair, special tokens included; always in float32.

        Args:
            texts: strings, or tuples of two for pairs.

        Returns:
            One float32 array (tokens, width) per text.
        """
        result: list[Array] = []
        device = next(self.encoder.parameters()).device
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


def load_encoder(source: str | Path, max_tokens: int | None = None, device: str = "auto") -> SentenceEncoder:
    """Opens an encoder.

    Args:
        source: a known name (`minilm`, `tiny`), a folder, a run, or `owner/name@revision` on the hub.
        max_tokens: the limit on a sequence; None: the config's.
        device: `auto`, `cpu`, `cuda`, ...

    Raises:
        WeightsError: not found, damaged, or tensors that do not fit.
    """
    loaded = load_folder(resolve(str(source)), max_tokens)
    return SentenceEncoder(loaded.encoder.to(device_of(device)), loaded.tokenizer)
