"""What `config.json` says of an encoder."""

import json
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, Field, ValidationError

from minbert.errors import WeightsError
from minbert.values import Value


class EncoderConfig(Value):
    """The sizes of an encoder, named as in `config.json`; keys that say nothing of its function are ignored.

    Attributes:
        vocab_size: rows of the word table.
        hidden_size: the width; a multiple of `num_attention_heads`.
        num_hidden_layers: layers.
        num_attention_heads: heads a layer.
        intermediate_size: width of the feed-forward part.
        max_position_embeddings: rows of the position table.
        hidden_act: `gelu` (exact) or `gelu_new` (tanh) or `relu`.
        layer_norm_eps: added to the variance.
        hidden_dropout_prob: share of activations dropped in training.
        attention_probs_dropout_prob: share of attention weights dropped in training.
        initializer_range: standard deviation of fresh weights.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    architecture: ClassVar[str]
    """The class of transformers that opens such a folder."""

    special: ClassVar[dict[str, str]]
    """The special tokens by their role in `tokenizer_config.json`, as far as the vocabulary has them."""

    ids: ClassVar[dict[str, int]]
    """The ids of special tokens that `config.json` states."""

    first_position: ClassVar[int] = 0
    """The row of the position table for a sequence's first token."""

    model_type: str
    vocab_size: int = Field(gt=0)
    hidden_size: int = Field(gt=0)
    num_hidden_layers: int = Field(gt=0)
    num_attention_heads: int = Field(gt=0)
    intermediate_size: int = Field(gt=0)
    max_position_embeddings: int = Field(default=512, gt=0)
    hidden_act: Literal["gelu", "gelu_new", "relu"] = "gelu"
    layer_norm_eps: float = Field(default=1e-12, gt=0)
    hidden_dropout_prob: float = Field(default=0.1, ge=0, lt=1)
    attention_probs_dropout_prob: float = Field(default=0.1, ge=0, lt=1)
    initializer_range: float = Field(default=0.02, gt=0)
    position_embedding_type: Literal["absolute"] = "absolute"
    is_decoder: Literal[False] = False

    def model_post_init(self, context: Any) -> None:
        """Checks what concerns two keys."""
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size {self.hidden_size} is no multiple of num_attention_heads {self.num_attention_heads}"
            )

    @property
    def longest(self) -> int:
        """The longest sequence in tokens, special ones included."""
        return self.max_position_embeddings - self.first_position

    def with_dropout(self, share: float) -> "EncoderConfig":
        """The same sizes with both dropouts set."""
        return self.model_copy(update={"hidden_dropout_prob": share, "attention_probs_dropout_prob": share})


class BertConfig(EncoderConfig):
    """The sizes of a BERT.

    Attributes:
        type_vocab_size: segments; 2 for pairs.
    """

    architecture = "BertModel"
    special: ClassVar[dict[str, str]] = {
        "unk_token": "[UNK]",
        "sep_token": "[SEP]",
        "pad_token": "[PAD]",
        "cls_token": "[CLS]",
        "mask_token": "[MASK]",
    }
    ids: ClassVar[dict[str, int]] = {"pad_token_id": 0}

    model_type: Literal["bert"] = "bert"
    type_vocab_size: int = Field(default=2, gt=0)


class MpnetConfig(EncoderConfig):
    """The sizes of an MPNet.

    Attributes:
        relative_attention_num_buckets: rows of the table of biases; transformers computes with 32 whatever stands here.
    """

    architecture = "MPNetModel"
    special: ClassVar[dict[str, str]] = {
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "[UNK]",
        "sep_token": "</s>",
        "pad_token": "<pad>",
        "cls_token": "<s>",
        "mask_token": "<mask>",
    }
    ids: ClassVar[dict[str, int]] = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
    first_position = 2

    model_type: Literal["mpnet"] = "mpnet"
    max_position_embeddings: int = Field(default=512, gt=2)
    relative_attention_num_buckets: Literal[32] = 32


CONFIGS: dict[str, type[EncoderConfig]] = {"bert": BertConfig, "mpnet": MpnetConfig}
"""By `model_type`; a folder of another type is held against BERT, which says what it expected."""


def parse_config(text: str | bytes, origin: str | Path) -> EncoderConfig:
    """Reads the text of a `config.json`.

    Raises:
        WeightsError: not JSON, neither a BERT nor an MPNet, or sizes that cannot be; all faults at once.
    """
    try:
        given = json.loads(text)
        kind = given.get("model_type") if isinstance(given, dict) else None
        return CONFIGS.get(str(kind), BertConfig).model_validate(given)
    except json.JSONDecodeError as fault:
        raise WeightsError(f"{origin}:{fault.lineno}: expected JSON, found {fault.msg}; get the file anew") from fault
    except ValidationError as fault:
        raise WeightsError(
            [
                f"{origin}: {'.'.join(map(str, e['loc'])) or 'sizes'}: {e['msg']}, found {e['input']!r:.60}; "
                "minbert reads BERT and MPNet folders in the Hugging Face layout"
                for e in fault.errors()
            ]
        ) from fault
    except (ValueError, RecursionError) as fault:  # bytes that are no text, a thousand brackets or digits
        raise WeightsError(f"{origin}: expected JSON, found what is none ({fault}); get the file anew") from fault
