"""What is wrong with a recipe, with file and line."""

import re
from collections.abc import Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from minbert.recipe.toml import Layer, Table, line_of
from minbert.values import Family, nearest

Texts = Sequence[tuple[Layer, str]]
"""The files that a recipe came from, with their text."""


def said_of(fault: ValidationError, table: Table, model: type[BaseModel]) -> list[tuple[str, str]]:
    """Pydantic's errors on a model made from a table as (path, expected and found), each once."""
    # A table by task, where one number may stand as well, is also reported as "no number": that is left out.
    errors = [
        e for e in fault.errors() if not (isinstance(e["input"], dict) and e["type"] in ("int_type", "float_type"))
    ]
    return sorted({(_path(error["loc"], table), _said(error, model)) for error in errors})


def _path(location: tuple[int | str, ...], table: Table) -> str:
    """Pydantic's location as a dotted path: the tags of unions are left out."""
    parts: list[str] = []
    value: Any = table
    for place, step in enumerate(location, 1):
        # A kind may have a key of its own name.
        tag = isinstance(value, dict) and step == value.get("kind") and place < len(location)
        if isinstance(value, dict) and step in value and not tag:
            value = value[step]
            parts.append(str(step))
        elif isinstance(step, int):
            value = value[step] if isinstance(value, list) and step < len(value) else None
        elif step == location[-1] and not _is_tag(str(step), value):
            parts.append(str(step))
    return ".".join(parts) or "recipe"


def _is_tag(step: str, value: Any) -> bool:
    kind = value.get("kind") if isinstance(value, dict) else value
    return step == kind or not re.fullmatch(r"[a-z_]+", step) or step in ("int", "float", "str", "dict", "tuple")


def _said(error: Any, model: type[BaseModel]) -> str:
    """What pydantic found, as expected / found."""
    given = error["input"]
    if error["type"] == "extra_forbidden":
        *table, key = error["loc"]
        return f"expected no such key; {nearest(str(key), _keys_at(model, table))}"
    if error["type"] == "missing":
        return "expected this key, found none; it is required"
    message = str(error["msg"]).removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    if "found" in message or error["type"] == "family":
        return message
    return f"{message}, found {given!r:.60}"


def _keys_at(kind: Any, location: Sequence[int | str]) -> list[str]:
    """The keys that a table may have, by pydantic's location of it."""
    for step in location:
        if isinstance(kind, Family):
            kind = kind.members[str(step)]
        elif get_origin(kind) in (dict, tuple):
            kind = _plain(get_args(kind)[get_origin(kind) is dict])
        else:
            field = kind.model_fields[step]
            kind = _plain(Annotated[field.annotation, *field.metadata, None])
    return [name for name, field in kind.model_fields.items() if not field.exclude]


def _plain(kind: Any) -> Any:
    """An annotation as the family, model, dict or tuple that it is about."""
    if get_origin(kind) is Annotated:
        family = [note for note in kind.__metadata__ if isinstance(note, Family)]
        return family[0] if family else _plain(kind.__origin__)
    choices = [choice for choice in get_args(kind) if choice is not NoneType]
    return _plain(choices[0]) if get_origin(kind) in (Union, UnionType) and len(choices) == 1 else kind


def placed(texts: Texts, path: str, said: str, sets: Sequence[str] = ()) -> str:
    """The fault with the `--set` that brought it, else with file and line, if a file has the path."""
    assigned = {assignment.partition("=")[0].strip(): assignment for assignment in sets}
    above = [key for key in assigned if f"{path}.".startswith(f"{key}.")]
    if above:
        key = max(above, key=len)
        return f"--set {assigned[key]}: {'' if path == key else path + ': '}{said}"
    brought = next((f"--set {one}" for key, one in assigned.items() if key.startswith(f"{path}.")), "")
    if brought:
        return f"{brought}: {path}: {said}"
    for depth in range(path.count(".") + 1, 0, -1):
        prefix = path.split(".")[:depth]
        for layer, text in texts:
            line = line_of(text, [*layer.under, *prefix])
            if line:
                return f"{layer.file}:{line}: {path}: {said}"
    return f"{texts[0][0].file}: {path}: {said}" if texts else f"{path}: {said}"
