"""How the files of a sentence-transformers folder want its encoder used: pooling, limit, norm, prompts."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minbert.encoder.pooling import AskedPooling, Pooling
from minbert.errors import WeightsError

Find = Callable[[str], Path | None]
"""Gives the file of a name beside the weights, or None."""

MODULES, LIMITS, PROMPTS = "modules.json", "sentence_bert_config.json", "config_sentence_transformers.json"
KNOWN = ("Transformer", "Pooling", "Normalize")
"""The modules of sentence-transformers that have a counterpart here."""


@dataclass(frozen=True)
class Usage:
    """What a folder says of the use of its encoder. One that is no sentence-transformers folder says nothing.

    Attributes:
        pooling: `mean`, `cls`, or a way that minbert does not know; empty: not said.
        normalize: whether vectors are brought to length 1.
        max_tokens: the limit on a sequence, or None.
        prompts: texts that may stand before a text, by name.
        prompt: the one that stands there by default; empty: none.
        remarks: what of it is not followed here.
    """

    pooling: str = ""
    normalize: bool = True
    max_tokens: int | None = None
    prompts: Mapping[str, str] = field(default_factory=dict)
    prompt: str = ""
    remarks: tuple[str, ...] = ()

    def pooling_or(self, asked: AskedPooling, name: str) -> Pooling:
        """The pooling that was asked for; `auto`: the folder's own, or `mean` where it says nothing.

        Args:
            asked: as a recipe has it.
            name: of the encoder, for an error.

        Raises:
            WeightsError: the folder pools in a way that minbert does not know.
        """
        if asked != "auto":
            return asked
        if self.pooling in ("", "mean"):
            return "mean"
        if self.pooling == "cls":
            return "cls"
        raise WeightsError(
            f"encoder {name}: expected pooling mean or cls, found {self.pooling} in its folder; say which of the two "
            "shall stand for it: encoder.pooling in a recipe, pooling in Python"
        )


def read_usage(find: Find) -> Usage:
    """Reads what a folder says.

    Raises:
        WeightsError: a file that is not JSON, or not of the form that it should have.
    """
    modules = _read(find, MODULES, list)
    if modules is None:
        return Usage()
    kinds = {
        str(module.get("type", "")).rpartition(".")[2]: str(module.get("path", ""))
        for module in modules
        if isinstance(module, dict)
    }
    remarks = [f"left out, no counterpart here: module {kind}" for kind in kinds if kind not in KNOWN]
    pooling = _read(find, f"{kinds['Pooling']}/config.json", dict) if "Pooling" in kinds else None
    limits, prompts = _read(find, LIMITS, dict) or {}, _read(find, PROMPTS, dict) or {}
    limit, given = limits.get("max_seq_length"), prompts.get("prompts")
    named = {str(name): str(text) for name, text in given.items() if text} if isinstance(given, dict) else {}
    if named and (pooling or {}).get("include_prompt") is False:
        remarks.append("its pooling leaves a prompt out; here it is pooled with the text")
    if limits.get("do_lower_case"):
        remarks.append("its texts are made lower case first; here only its tokenizer does that, if it does")
    return Usage(
        pooling="" if pooling is None else _pooling(pooling),
        normalize="Normalize" in kinds,
        max_tokens=limit if isinstance(limit, int) else None,
        prompts=named,
        prompt=named.get(str(prompts.get("default_prompt_name")), ""),
        remarks=tuple(remarks),
    )


def _pooling(config: dict[str, Any]) -> str:
    """The pooling, by its name or by the switches of older folders; several are joined by +."""
    said: Any = config.get("pooling_mode")
    if said is None:
        switches = [key for key, on in config.items() if key.startswith("pooling_mode_") and on]
        said = [key.removeprefix("pooling_mode_").removesuffix("_tokens").removesuffix("_token") for key in switches]
    names = said if isinstance(said, list) else [said]
    return "+".join(map(str, names)) or "mean"


def _read(find: Find, name: str, kind: type) -> Any:
    """A JSON file; None where there is none."""
    path = find(name)
    if path is None:
        return None
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as fault:
        raise WeightsError(f"{path}: expected JSON, found what is none ({fault}); get the file anew") from fault
    if not isinstance(content, kind):
        wanted = "an object" if kind is dict else "a list"
        raise WeightsError(f"{path}: expected {wanted}, found {content!r:.60}; get the file anew")
    return content
