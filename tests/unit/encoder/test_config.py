"""What `config.json` may say, and that all its faults are told at once."""

import json

import pytest

from minbert.encoder import BertConfig
from minbert.encoder.config import parse_config
from minbert.errors import WeightsError

GOOD = {
    "vocab_size": 30,
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
}


def faults(text: str | bytes) -> list[str]:
    with pytest.raises(WeightsError) as caught:
        parse_config(text, "config.json")
    return list(caught.value.faults)


def test_defaults_are_those_of_bert() -> None:
    config = parse_config(json.dumps(GOOD), "config.json")
    assert config == BertConfig(**GOOD)
    assert (config.max_position_embeddings, config.type_vocab_size, config.layer_norm_eps) == (512, 2, 1e-12)
    assert (config.hidden_act, config.hidden_dropout_prob, config.initializer_range) == ("gelu", 0.1, 0.02)


def test_keys_that_say_nothing_of_the_function_are_ignored() -> None:
    more = {"architectures": ["BertModel"], "transformers_version": "5.0", "use_cache": True, "id2label": {"0": "a"}}
    assert parse_config(json.dumps(GOOD | more), "config.json") == BertConfig(**GOOD)


def test_a_config_reads_back_what_it_writes() -> None:
    config = BertConfig(**GOOD, hidden_act="relu", layer_norm_eps=1e-5)
    assert parse_config(config.model_dump_json(), "config.json") == config


def test_all_faults_are_told_at_once() -> None:
    wrong = {
        "model_type": "roberta",
        "vocab_size": 0,
        "hidden_size": "wide",
        "num_attention_heads": -1,
        "intermediate_size": 1.5,
        "hidden_act": "swish",
        "layer_norm_eps": 0,
        "hidden_dropout_prob": 1,
        "position_embedding_type": "relative_key",
        "is_decoder": True,
    }
    found = faults(json.dumps(wrong))
    assert [fault.split(": ")[1] for fault in found] == [
        "model_type", "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
        "hidden_act", "layer_norm_eps", "hidden_dropout_prob", "position_embedding_type", "is_decoder",
    ]  # fmt: skip
    assert all(fault.startswith("config.json: ") and "Hugging Face layout" in fault for fault in found)
    assert "Input should be 'bert', found 'roberta'" in found[0]


def test_the_width_must_be_a_multiple_of_the_heads() -> None:
    (fault,) = faults(json.dumps(GOOD | {"num_attention_heads": 3}))
    assert "hidden_size 8 is no multiple of num_attention_heads 3" in fault


@pytest.mark.parametrize("constant", ["NaN", "Infinity"])
def test_numbers_are_finite(constant: str) -> None:
    (fault,) = faults(json.dumps(GOOD)[:-1] + f', "layer_norm_eps": {constant}}}')
    assert fault.startswith("config.json: layer_norm_eps: ")


def test_broken_json_is_told_with_its_line() -> None:
    (fault,) = faults('{\n"vocab_size": 30,\n"hidden_size" 8}')
    assert fault == "config.json:3: expected JSON, found Expecting ':' delimiter; get the file anew"


NONE = ["", "[]", "3", '"bert"', "null", b"\xff\xfe\xfd", b"\x89PNG", "[" * 100_000, "9" * 5000]


@pytest.mark.parametrize("text", NONE, ids=lambda text: repr(text[:6]))
def test_what_is_no_object_is_refused(text: str | bytes) -> None:
    (fault,) = faults(text)
    assert fault.startswith("config.json:")


def test_a_byte_order_mark_does_no_harm() -> None:
    assert parse_config(json.dumps(GOOD).encode("utf-8-sig"), "config.json") == BertConfig(**GOOD)


def test_with_dropout_sets_both_and_nothing_else() -> None:
    config = BertConfig(**GOOD).with_dropout(0.3)
    assert config == BertConfig(**GOOD, hidden_dropout_prob=0.3, attention_probs_dropout_prob=0.3)
