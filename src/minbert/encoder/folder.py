"""An encoder's folder: read it, and write it so that transformers and sentence-transformers open it too."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError
from safetensors.torch import load_file, save

from minbert.encoder.bert import Bert, fresh
from minbert.encoder.config import BertConfig, EncoderConfig, MpnetConfig
from minbert.encoder.drawing import undrawn
from minbert.encoder.encoder import Encoder
from minbert.encoder.mpnet import Mpnet
from minbert.encoder.pooling import AskedPooling, Pooling, for_embeddings
from minbert.encoder.sources import WEIGHTS, Source
from minbert.encoder.usage import LIMITS, MODULES, PROMPTS
from minbert.encoder.weights import export, fill
from minbert.errors import WeightsError
from minbert.randomness import generator
from minbert.text.tokenizer import Tokenizer, load_tokenizer


class Loaded(NamedTuple):
    """An encoder with its tokenizer, what there is to say of the load, and how its vectors are pooled."""

    encoder: Encoder
    tokenizer: Tokenizer
    remarks: list[str]
    pooling: Pooling


def build(config: EncoderConfig) -> Encoder:
    """The encoder of a config."""
    if isinstance(config, MpnetConfig):
        return Mpnet(config)
    assert isinstance(config, BertConfig)
    return Bert(config)


def load_folder(
    source: Source,
    max_tokens: int | None = None,
    dropout: float | None = None,
    seed: int = 0,
    pooling: AskedPooling = "auto",
    prompt: str = "auto",
) -> Loaded:
    """Reads an encoder.

    Args:
        source: its files.
        max_tokens: the limit on a sequence, at most the config's; None: the config's.
        dropout: both dropouts, 0 to below 1; None: the config's.
        seed: for a pooler that the file lacks.
        pooling: `auto`: the folder's own, `mean` where it says nothing.
        prompt: what stands before every text; `auto`: the folder's own, if it has one.

    Raises:
        WeightsError: a damaged file, tensors that do not fit, a limit over the config's, a pooling that is not known.
    """
    config = source.config if dropout is None else source.config.with_dropout(dropout)
    how = source.usage.pooling_or(pooling, source.name)
    tokenizer = tokenizer_of(source, max_tokens, prompt)
    try:
        tensors = load_file(source.weights)
    except (SafetensorError, OSError) as fault:
        raise WeightsError(f"{source.weights}: expected safetensors, found what cannot be read ({fault})") from fault
    with undrawn():
        encoder = build(config)
    fresh(encoder.pooler, config.initializer_range, generator(seed, "pooler"))
    remarks = fill(encoder, tensors, str(source.weights))
    return Loaded(encoder.eval(), tokenizer, remarks, how)


def tokenizer_of(source: Source, max_tokens: int | None = None, prompt: str = "auto") -> Tokenizer:
    """The tokenizer alone; the weights are not read.

    Args:
        source: the encoder's files.
        max_tokens: the limit on a sequence, at most the config's; None: the config's.
        prompt: what stands before every text; `auto`: the folder's own, if it has one.

    Raises:
        WeightsError: a tokenizer that does not fit the encoder, a limit over the config's, a prompt's mere name.
    """
    limit, size = source.config.longest, source.config.vocab_size
    if max_tokens is not None and not 8 <= max_tokens <= limit:
        raise WeightsError(f"max_tokens: expected 8 to {limit} for {source.name}, found {max_tokens}")
    if source.tokenizer.suffix != ".json" and not isinstance(source.config, BertConfig):
        raise WeightsError(
            f"{source.tokenizer}: expected tokenizer.json beside it: a vocabulary alone is read as BERT's"
        )
    tokenizer = load_tokenizer(source.tokenizer, max_tokens or limit)
    last = max(tokenizer.backend.get_vocab().values(), default=0)
    if last >= size:
        raise WeightsError(f"{source.tokenizer}: expected ids below {size} by config.json, found {last}")
    tokenizer.prompts = dict(source.usage.prompts)
    return tokenizer.with_prompt(source.usage.prompt if prompt == "auto" else prompt)


def save_folder(folder: Path, encoder: Encoder, tokenizer: Tokenizer, config: EncoderConfig, pooling: Pooling) -> None:
    """Writes an encoder's files into an existing folder.

    The class of transformers that the config names and `sentence_transformers.SentenceTransformer` open the result;
    the latter puts the prompt before each text, pools as `pooling` says (`pooler` has no counterpart there and is
    written as `mean`) and normalises, as `embed` does.

    Args:
        folder: where to.
        encoder: the encoder.
        tokenizer: its tokenizer; its limit and its prompt become the folder's.
        config: the sizes with the dropouts that the folder shall state.
        pooling: how embeddings are pooled.
    """
    # Written here and not by the library, whose error for a full disk is no OSError.
    (folder / WEIGHTS).write_bytes(save(export(encoder), metadata={"format": "pt"}))
    tokenizer.save(folder / "tokenizer.json")
    (folder / "2_Normalize").mkdir()
    (folder / "1_Pooling").mkdir()
    for name, content in {
        **_read_by_transformers(tokenizer, config),
        **_read_by_sentences(tokenizer, config, pooling),
    }.items():
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _read_by_transformers(tokenizer: Tokenizer, config: EncoderConfig) -> dict[str, Any]:
    """The small files that transformers reads, by name."""
    vocabulary = tokenizer.backend.token_to_id
    segments = ["token_type_ids"] if isinstance(config, BertConfig) else []
    return {
        # transformers wants to know the kind of model, and that the file is torch's.
        "config.json": {"architectures": [config.architecture], **config.ids, **config.model_dump()},
        "tokenizer_config.json": {
            "model_max_length": tokenizer.max_tokens,
            "tokenizer_class": "PreTrainedTokenizerFast",
            # Without these names, transformers would leave out the segments of a pair.
            "model_input_names": ["input_ids", *segments, "attention_mask"],
            **{role: piece for role, piece in config.special.items() if vocabulary(piece) is not None},
        },
    }


def _read_by_sentences(tokenizer: Tokenizer, config: EncoderConfig, pooling: Pooling) -> dict[str, Any]:
    """The small files that sentence-transformers reads, by name."""
    how = for_embeddings(pooling)
    modules = [("0", "", "Transformer"), ("1", "1_Pooling", "Pooling"), ("2", "2_Normalize", "Normalize")]
    prompts, default = tokenizer.named_prompts()
    said = {PROMPTS: {"prompts": prompts, "default_prompt_name": default, "similarity_fn_name": "cosine"}}
    return {
        LIMITS: {"max_seq_length": tokenizer.max_tokens, "do_lower_case": False},
        MODULES: [
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
        **(said if prompts else {}),
    }
