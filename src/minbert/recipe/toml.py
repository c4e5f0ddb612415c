"""From TOML files to one table: `extends`, `--set`, and where a path stands in a file."""

import re
import tomllib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from minbert.errors import RecipeError
from minbert.values import nearest

Table = dict[str, Any]


class Layer(NamedTuple):
    """Where a part of a recipe stands: a file, or a table in it.

    Attributes:
        file: the file.
        under: the keys of the table; none: the whole file.
    """

    file: Path
    under: tuple[str, ...] = ()


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
    raise RecipeError(
        f"recipe {str(name)!r}: expected a file or a name in the package, found neither; {nearest(str(name), known)}"
    )


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


def dotted(table: Table, above: str = "") -> Table:
    """Nested tables as one, by dotted paths; an empty table says nothing."""
    found: Table = {}
    for key, value in table.items():
        found |= dotted(value, f"{above}{key}.") if isinstance(value, dict) else {f"{above}{key}": value}
    return found


def lay_sets(table: Table, sets: Sequence[str]) -> None:
    """Lays `--set` assignments on a table, the last on top; `stages={}` takes away what stood there.

    Raises:
        RecipeError: one is no assignment.
    """
    for assignment in sets:
        over = parse_set(assignment)
        _clear(table, over)
        *above, key = [part.strip() for part in assignment.partition("=")[0].split(".")]
        there: Any = table
        for part in above:
            there = there.get(part) if isinstance(there, dict) else None
        if key == "kind" and isinstance(there, dict):
            # The kind alone: what else stands there is not said to go.
            there[key] = _value_at(over, [*above, key])
        else:
            merge_tables(table, over)


def _value_at(table: Table, path: Sequence[str]) -> Any:
    value: Any = table
    for part in path:
        value = value[part]
    return value


def _clear(base: Table, over: Table) -> None:
    """Takes away what stands where an empty table is to stand: merging would keep it."""
    for key, value in over.items():
        if value == {}:
            base.pop(key, None)
        elif isinstance(value, dict) and isinstance(base.get(key), dict):
            _clear(base[key], value)


def read_toml(path: Path) -> tuple[Table, str]:
    """A file as a table, and its text.

    Raises:
        RecipeError: it cannot be read, or is not TOML.
    """
    try:
        text = path.read_text(encoding="utf-8")
        return tomllib.loads(text), text
    except tomllib.TOMLDecodeError as fault:
        line = re.search(r"line (\d+)", str(fault))
        # Without a line it is the end of the file that came too early.
        number = line.group(1) if line else max(1, len(text.splitlines()))
        raise RecipeError(f"{path}:{number}: expected TOML, found: {fault}") from None
    except FileNotFoundError:
        raise RecipeError(f"{path}: expected a TOML file, found none") from None
    except (OSError, UnicodeDecodeError) as fault:
        raise RecipeError(f"{path}: expected a TOML file in UTF-8, found what cannot be read ({fault})") from None


def find_named(path: Path, text: str, key: str, name: str) -> Path:
    """The recipe that a key of a file names: relative to the file, or in the package.

    Raises:
        RecipeError: neither.
    """
    near = path.parent / name
    try:
        return near if near.is_file() else find_recipe(name)
    except RecipeError as fault:
        raise RecipeError(f"{path}:{line_of(text, [key])}: {key}: {fault}") from None


def read_extended(path: Path, seen: tuple[Path, ...] = ()) -> tuple[Table, list[Layer]]:
    """A file's table laid on the one it extends; and the files, nearest first."""
    if path.resolve() in seen:
        raise RecipeError(f"{path}: extends itself, by way of {' -> '.join(str(p) for p in seen)}")
    table, text = read_toml(path)
    parent = table.pop("extends", None)
    if parent is None:
        return table, [Layer(path)]
    base, layers = read_extended(find_named(path, text, "extends", str(parent)), (*seen, path.resolve()))
    merge_tables(base, table)
    return base, [Layer(path), *layers]


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
            if full == list(path)[: len(full)] and (
                all(re.search(rf"(?<!\w){re.escape(part)}(?!\w)", line) for part in path[len(full) :])
            ):
                return number
    return 0


def _keys(dotted: str) -> list[str]:
    return [part.strip().strip("\"'") for part in dotted.split(".")]
