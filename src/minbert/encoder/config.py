"""What `config.json` says of a BERT."""

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field, ValidationError

from minbert.errors import WeightsError
from minbert.values import Value


class BertConfig(Value):
    """The sizes of a BERT, named as in `config.json`; keys that say nothing of its function are ignored.

    Attributes:
        vocab_size: rows of the word table.
        hidden_size: the width; a multiple of `num_attention_heads`.
        num_hidden_layers: layers.
        num_attention_heads: heads a layer.
        intermediate_size: width of the feed-forward part.
        max_position_embeddings: the longest sequence in tokens.
        type_vocab_size: segments; 2 for pairs.
        hidden_act: `gelu` (exact) or `gelu_new` (tanh) or `relu`.
        layer_norm_eps: added to the variance.
        hidden_dropout_prob: share of activations dropped in training.
        attention_probs_dropout_prob: share of attention weights dropped in training.
        initializer_range: standard deviation of fresh weights.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    model_type: Literal["bert"] = "bert"
    vocab_size: int = Field(gt=0)
    hidden_size: int = Field(gt=0)
    num_hidden_layers: int = Field(gt=0)
    num_attention_heads: int = Field(gt=0)
    intermediate_size: int = Field(gt=0)
    max_position_embeddings: int = Field(default=512, gt=0)
    type_vocab_size: int = Field(default=2, gt=0)
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

    def with_dropout(self, share: float) -> "BertConfig":
        """The same sizes with both dropouts set."""
        return self.model_copy(update={"hidden_dropout_prob": share, "attention_probs_dropout_prob": share})


def parse_config(text: str | bytes, origin: str | Path) -> BertConfig:
    """Reads the text of a `config.json`.

    Raises:
        WeightsError: not JSON, not a BERT, or sizes that cannot be; all faults at once.
    """
    try:
        return BertConfig.model_validate(json.loads(text))
    except json.JSONDecodeError as fault:
        raise WeightsError(f"{origin}:{fault.lineno}: expected JSON, found {fault.msg}; get the file anew") from fault
    except ValidationError as fault:
        raise WeightsError(
            [
                f"{origin}: {'.'.join(map(str, e['loc'])) or 'sizes'}: {e['msg']}, found {e['input']!r:.60}; "
                "minbert reads BERT folders in the Hugging Face layout"
                for e in fault.errors()
            ]
        ) from fault
    except (ValueError, RecursionError) as fault:  # bytes that are no text, a thousand brackets or digits
        raise WeightsError(f"{origin}: expected JSON, found what is none ({fault}); get the file anew") from fault
