"""How long rows are in tokens, as the encoder will read them."""

from typing import Any

import numpy as np

from minbert.audit.parts import Part
from minbert.model import forms_of
from minbert.text.batches import Texts, texts_of
from minbert.text.tokenizer import Tokenizer


def length_summary(part: Part, tokenizer: Tokenizer) -> dict[str, int]:
    """Median, 95th percentile and longest of the sequences that the task's head reads, special tokens included.

    Returns:
        `median`, `p95`, `max`, and `cut`: how many sequences are over the limit.
    """
    texts = texts_of(part.rows.columns, tokenizer)
    forms = forms_of(part.spec)
    lengths = _joined(texts) if forms.whole else _apart(texts)
    median, p95 = np.percentile(lengths, [50, 95], method="higher").tolist()
    return {"median": int(median), "p95": int(p95), "max": int(lengths.max()), "cut": texts.cuts(forms)}


def _joined(texts: Texts) -> Any:
    template = texts.tokenizer.single if len(texts.tables) == 1 else texts.tokenizer.pair
    return texts.lengths() + template.extra


def _apart(texts: Texts) -> Any:
    return np.concatenate([table.lengths for table in texts.tables]) + texts.tokenizer.single.extra
