"""An encoder's folder: read it, and write it so that transformers and sentence-transformers open it too."""

import json
from pathlib import Path
from typing import NamedTuple

from safetensors import SafetensorError
from safetensors.torch import load_file, save

from minbert.encoder.bert import Bert, fresh
from minbert.encoder.config import BertConfig
from minbert.encoder.pooling import Pooling
from minbert.encoder.sources import WEIGHTS, Source
from minbert.encoder.weights import export, fill
from minbert.errors import WeightsError
from minbert.randomness import generator
from minbert.text.tokenizer import Tokenizer, load_tokenizer


class Loaded(NamedTuple):
    """An encoder with its tokenizer, and what there is to say of the load."""

    encoder: Bert
    tokenizer: Tokenizer
    remarks: list[str]


def load_folder(source: Source, max_tokens: int | None = None, dropout: float | None = None, seed: int = 0) -> Loaded:
    """Reads an encoder.

    Args:
        source: its files.
        max_tokens: the limit on a sequence, at most the config's; None: the config's.
        dropout: both dropouts, 0 to below 1; None: the config's.
        seed: for a pooler that the file lacks.

    Raises:
        WeightsError: a damaged file, tensors that do not fit, a limit over the config's.
    """
    config = source.config if dropout is None else source.config.with_dropout(dropout)
    tokenizer = tokenizer_of(source, max_tokens)
    try:
        tensors = load_file(source.weights)
    except (SafetensorError, OSError) as fault:
        raise WeightsError(f"{source.weights}: expected safetensors, found what cannot be read ({fault})") from fault
    bert = Bert(config)
    fresh(bert.pooler, config.initializer_range, generator(seed, "pooler"))
    remarks = fill(bert, tensors, str(source.weights))
    return Loaded(bert.eval(), tokenizer, remarks)


def tokenizer_of(source: Source, max_tokens: int | None = None) -> Tokenizer:
    """The tokenizer alone; the weights are not read.

    Args:
        source: the encoder's files.
        max_tokens: the limit on a sequence, at most the config's; None: the config's.

    Raises:
        WeightsError: a tokenizer that does not fit the encoder, a limit over the config's.
    """
    limit, size = source.config.max_position_embeddings, source.config.vocab_size
    if max_tokens is not None and not 8 <= max_tokens <= limit:
        raise WeightsError(f"max_tokens: expected 8 to {limit} for {source.name}, found {max_tokens}")
    tokenizer = load_tokenizer(source.tokenizer, max_tokens or limit)
    last = max(tokenizer.backend.get_vocab().values(), default=0)
    if last >= size:
        raise WeightsError(f"{source.tokenizer}: expected ids below {size} by config.json, found {last}")
    return tokenizer


def save_folder(folder: Path, bert: Bert, tokenizer: Tokenizer, config: BertConfig, pooling: Pooling) -> None:
    """Writes an encoder's files into an existing folder.

    `transformers.BertModel` and `sentence_transformers.SentenceTransformer` open the result; the latter pools as
    `pooling` says (`pooler` has no counterpart there and is written as `mean`) and normalises, as `embed` does.

    Args:
        folder: where to.
        bert: the encoder.
        tokenizer: its tokenizer; its limit becomes the folder's.
        config: the sizes with the dropouts that the folder shall state.
        pooling: how embeddings are pooled.
    """
    # transformers wants to know the kind of model, and that the file is torch's.
    settings = {"architectures": ["BertModel"], "pad_token_id": 0, **config.model_dump()}
    # Written here and not by the library, whose error for a full disk is no OSError.
    (folder / WEIGHTS).write_bytes(save(export(bert), metadata={"format": "pt"}))
    tokenizer.save(folder / "tokenizer.json")
    reading = {
        "model_max_length": tokenizer.max_tokens,
        "tokenizer_class": "PreTrainedTokenizerFast",
        # Without these names, transformers would leave out the segments of a pair.
        "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
    }
    names = [
        name for name in ("UNK", "SEP", "PAD", "CLS", "MASK") if tokenizer.backend.token_to_id(f"[{name}]") is not None
    ]
    special = {f"{name.lower()}_token": f"[{name}]" for name in names}
    how = "cls" if pooling == "cls" else "mean"
    modules = [("0", "", "Transformer"), ("1", "1_Pooling", "Pooling"), ("2", "2_Normalize", "Normalize")]
    files = {
        "config.json": settings,
        "tokenizer_config.json": {**reading, **special},
        "sentence_bert_config.json": {"max_seq_length": tokenizer.max_tokens, "do_lower_case": False},
        "modules.json": [
            {"idx": int(i), "name": i, "path": path, "type": f"sentence_transformers.models.{kind}"}
            for i, path, kind in modules
        ],
        "1_Pooling/config.json": {
            "word_embedding_dimension": config.hidden_size,
            "pooling_mode_cls_token": how == "cls",
            "pooling_mode_mean_tokens": how == "mean",
            "pooling_mode_max_tokens": False,
            "pooling_mode_mean_sqrt_len_tokens": False,
        },
    }
    (folder / "2_Normalize").mkdir()
    (folder / "1_Pooling").mkdir()
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
