"""From TOML files to a recipe: `extends`, `--set`, and errors that name file and line."""

import re
import tomllib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from minbert.errors import RecipeError
from minbert.recipe.schema import Recipe
from minbert.values import nearest

Table = dict[str, Any]


def find_recipe(name: str | Path) -> Path:
    """The file of a recipe: a path, or the name of one in the package (`quick`, `report/row-3`).

    Raises:
        RecipeError: neither.
    """
    path = Path(name)
    if path.is_file():
        return path
    packaged = Path(str(resources.files("minbert") / "recipes"))
    inside = packaged / f"{str(name).removesuffix('.toml')}.toml"
    if inside.is_file():
        return inside
    known = sorted(str(file.relative_to(packaged).with_suffix("")) for file in packaged.rglob("*.toml"))
    raise RecipeError(f"recipe {str(name)!r}: expected a file or a name in the package, found neither; {nearest(str(name), known)}")


def load_recipe(name: str | Path, sets: Sequence[str] = ()) -> Recipe:
    """Reads a recipe.

    Args:
        name: a TOML file, or the name of a recipe in the package.
        sets: assignments such as `stages.train.lr=3e-5`, applied last.

    Raises:
        RecipeError: every fault with file and line, at once.
    """
    path = find_recipe(name)
    table, chain = _extended(path, ())
    for assignment in sets:
        merge_tables(table, parse_set(assignment))
    return check_recipe(table, path.parent, chain)


def check_recipe(table: Table, folder: Path, chain: Sequence[Path] = ()) -> Recipe:
    """A recipe from a table.

    Args:
        table: as TOML gives it, without `extends`.
        folder: what paths in it are relative to.
        chain: the files it came from, for the lines in errors.

    Raises:
        RecipeError: every fault, at once.
    """
    texts = [(path, path.read_text(encoding="utf-8")) for path in chain]
    try:
        recipe = Recipe.model_validate({**table, "folder": folder})
    except ValidationError as fault:
        # A table by task, where one number may stand as well, is also reported as "no number": that is left out.
        errors = [e for e in fault.errors() if not (isinstance(e["input"], dict) and e["type"].endswith(("int_type", "float_type")))]
        faults = {(_path(error["loc"], table), _said(error)) for error in errors}
        raise RecipeError([_placed(texts, path, said) for path, said in sorted(faults)]) from None
    misfits = recipe.faults()
    if misfits:
        raise RecipeError([_placed(texts, path, said) for path, said in misfits])
    return recipe


def parse_set(assignment: str) -> Table:
    """`a.b=value` as nested tables; the value is TOML, or else a plain string.

    Raises:
        RecipeError: no `=`, or no path before it.
    """
    path, sign, value = assignment.partition("=")
    if not sign or not re.fullmatch(r"[\w-]+(\.[\w-]+)*", path.strip()):
        raise RecipeError(f"--set {assignment}: expected path=value, for example stages.train.lr=3e-5")
    try:
        parsed = tomllib.loads(f"x = {value.strip()}")["x"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()
    for key in reversed(path.strip().split(".")):
        parsed = {key: parsed}
    assert isinstance(parsed, dict)
    return parsed


def merge_tables(base: Table, over: Table) -> None:
    """Lays `over` on `base`: tables merge; a table with a `kind`, a list or a plain value replaces."""
    for key, value in over.items():
        if isinstance(value, dict) and "kind" not in value and isinstance(base.get(key), dict):
            merge_tables(base[key], value)
        else:
            base[key] = value


def _extended(path: Path, seen: tuple[Path, ...]) -> tuple[Table, list[Path]]:
    """A file's table laid on the one it extends; and the files, nearest first."""
    if path.resolve() in seen:
        raise RecipeError(f"{path}: extends itself, by way of {' -> '.join(str(p) for p in seen)}")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as fault:
        line = re.search(r"line (\d+)", str(fault))
        raise RecipeError(f"{path}:{line.group(1) if line else 1}: expected TOML, found: {fault}") from None
    except (OSError, UnicodeDecodeError) as fault:
        raise RecipeError(f"{path}: expected a TOML file in UTF-8, found what cannot be read ({fault})") from None
    parent = table.pop("extends", None)
    if parent is None:
        return table, [path]
    target = path.parent / str(parent)
    base, chain = _extended(target if target.is_file() else find_recipe(str(parent)), (*seen, path.resolve()))
    merge_tables(base, table)
    return base, [path, *chain]


def _path(location: tuple[int | str, ...], table: Table) -> str:
    """pydantic's location as a dotted path: the tags of unions are left out."""
    parts: list[str] = []
    value: Any = table
    for step in location:
        if isinstance(value, dict) and step in value:
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


def _said(error: Any) -> str:
    """What pydantic found, as expected / found."""
    given = error["input"]
    if error["type"] == "extra_forbidden":
        return "expected no such key: see the table of keys in docs/recipe.md"
    if error["type"] == "missing":
        return "expected this key, found none; it is required"
    message = str(error["msg"]).removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    if "found" in message or error["type"] == "family":
        return message
    return f"{message}, found {given!r:.60}"


def _placed(texts: Sequence[tuple[Path, str]], path: str, said: str) -> str:
    """The fault with file and line, if a file has the path."""
    for depth in range(path.count(".") + 1, 0, -1):
        prefix = path.split(".")[:depth]
        for file, text in texts:
            line = line_of(text, prefix)
            if line:
                return f"{file}:{line}: {path}: {said}"
    return f"{texts[0][0]}: {path}: {said}" if texts else f"{path}: {said}"


def line_of(text: str, path: Sequence[str]) -> int:
    """The line on which a dotted path is set in a TOML text; 0 if it is not."""
    table: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[+\s*([^\]]+?)\s*\]+", line)
        key = re.match(r"\s*([\w.\"'-]+)\s*=", line)
        if header:
            table = _keys(header.group(1))
            if table == list(path):
                return number
        elif key:
            full = [*table, *_keys(key.group(1))]
            if full == list(path)[: len(full)] and (len(full) == len(path) or re.search(rf"\b{path[len(full)]}\b", line)):
                return number
    return 0


def _keys(dotted: str) -> list[str]:
    return [part.strip().strip("\"'") for part in dotted.split(".")]
