"""What a search may vary: ranges of numbers and lists of choices, by the paths of the recipe."""

import json
from abc import abstractmethod
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, ValidationError, model_validator

from minbert.errors import RecipeError
from minbert.recipe import Layer, Recipe, check_recipe, find_recipe, lay_sets, merge_tables, read_extended
from minbert.recipe.faults import placed, said_of
from minbert.recipe.toml import Table
from minbert.values import Value

if TYPE_CHECKING:
    import optuna

FIXED = {
    "seed": "a search compares settings with one seed",
    "select": "scores are comparable only on the same rows",
}
"""What is not to be tuned, and why."""

Setting = float | int | str
"""What a search knows of a value: a number, or the name of a choice."""


class Range(Value):
    """What one path may be."""

    @abstractmethod
    def suggest(self, trial: "optuna.Trial", path: str) -> Setting:
        """Lets a search choose."""

    @abstractmethod
    def value(self, setting: Setting) -> Any:
        """The setting as it stands in a recipe."""

    @abstractmethod
    def ends(self) -> list[Setting]:
        """Settings that must make valid recipes for all others to do so."""


class Numbers(Range):
    """From `low` to `high`, both included; whole numbers if both are whole.

    Attributes:
        low: the least.
        high: the greatest, above `low`.
        step: only every so many; 0: all.
        log: whether equal ratios are equally likely.
    """

    low: int | float
    high: int | float
    step: int | float = Field(default=0, ge=0)
    log: bool = False

    @model_validator(mode="after")
    def _fits(self) -> "Numbers":
        if self.low >= self.high:
            raise ValueError(f"expected low under high, found {self.low} and {self.high}")
        if self.log and (self.low <= 0 or self.step):
            raise ValueError(f"expected low above 0 and no step with log, found low {self.low}, step {self.step}")
        if self.whole and self.step != int(self.step):
            raise ValueError(f"expected a whole step between whole numbers, found {self.step}")
        return self

    @property
    def whole(self) -> bool:
        """Whether it is about whole numbers."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def suggest(self, trial: "optuna.Trial", path: str) -> Setting:
        if self.whole:
            return trial.suggest_int(path, int(self.low), int(self.high), step=int(self.step) or 1, log=self.log)
        return trial.suggest_float(path, self.low, self.high, step=self.step or None, log=self.log)

    def value(self, setting: Setting) -> Any:
        return setting

    def ends(self) -> list[Setting]:
        return [self.low, self.high]


class Choices(Range):
    """One of some values, each as it may stand in a recipe.

    Attributes:
        options: two or more.
    """

    options: tuple[Any, ...] = Field(min_length=2)

    @model_validator(mode="after")
    def _distinct(self) -> "Choices":
        if len(set(self.ends())) < len(self.options):
            raise ValueError(f"expected each choice once, found {', '.join(map(str, self.ends()))}")
        return self

    def suggest(self, trial: "optuna.Trial", path: str) -> Setting:
        return str(trial.suggest_categorical(path, [str(name) for name in self.ends()]))

    def value(self, setting: Setting) -> Any:
        return deepcopy(self.options[self.ends().index(setting)])

    def ends(self) -> list[Setting]:
        return [_name(option) for option in self.options]


def _name(option: Any) -> str:
    """What a choice is called: a method without settings of its own by its kind."""
    option = option["kind"] if isinstance(option, dict) and list(option) == ["kind"] else option
    return option if isinstance(option, str) else json.dumps(option)


@dataclass(frozen=True)
class Space:
    """A recipe and what may vary in it.

    Attributes:
        recipe: as it stands.
        ranges: by path.
        table: the recipe as a table.
        layers: the files that it came from.
    """

    recipe: Recipe
    ranges: dict[str, Range]
    table: Table
    layers: tuple[Layer, ...]

    def at(self, settings: dict[str, Setting]) -> Recipe:
        """The recipe with some settings.

        Raises:
            RecipeError: they do not fit together.
        """
        whole = deepcopy(self.table)
        for path, setting in settings.items():
            value = self.ranges[path].value(setting)
            for key in reversed(path.split(".")):
                value = {key: value}
            merge_tables(whole, value)
        above = [Layer(layer.file, ("tune",)) for layer in self.layers]
        return check_recipe(whole, self.recipe.folder, [*above, *self.layers])

    def start(self) -> dict[str, Setting]:
        """The recipe's own settings; without those that lie outside their range."""
        own = {path: self._own(path, span) for path, span in self.ranges.items()}
        return {path: setting for path, setting in own.items() if setting is not None}

    def _own(self, path: str, span: Range) -> Setting | None:
        """The recipe's own setting of a path; None if it lies outside the range."""
        if isinstance(span, Choices):
            return next((name for name in span.ends() if self.at({path: name}) == self.recipe), None)
        value: Any = self.recipe.model_dump(mode="json")
        for key in path.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        inside = isinstance(span, Numbers) and isinstance(value, int | float) and span.low <= value <= span.high
        return value if inside else None


def read_space(name: str | Path, sets: list[str]) -> Space:
    """Reads a recipe with its `[tune]` table.

    Args:
        name: a TOML file, or the name of a recipe in the package.
        sets: assignments such as `select.on=0.1`, applied last.

    Raises:
        RecipeError: every fault of the recipe or of a range, at once.
    """
    file = find_recipe(name)
    table, layers = read_extended(file)
    lay_sets(table, sets)
    wanted = table.pop("tune", None)
    recipe = check_recipe(table, file.parent, layers)
    if not isinstance(wanted, dict) or not wanted:
        raise RecipeError(
            f"{file}: expected a table [tune] with what may vary, found none; "
            "for example stages.train.lr = { low = 1e-5, high = 3e-4, log = true }"
        )
    texts = [(Layer(layer.file), layer.file.read_text(encoding="utf-8")) for layer in layers]
    ranges: dict[str, Range] = {}
    faults = [placed(texts, f"tune.{path}", said) for path, said in _gather(wanted, "", ranges)]
    space = Space(recipe, ranges, table, tuple(layers))
    if not faults:
        faults = _misfits(space)
    if faults:
        raise RecipeError(faults)
    return space


def _gather(table: Table, above: str, ranges: dict[str, Range]) -> list[tuple[str, str]]:
    """Finds the ranges in nested tables; returns what is none."""
    faults: list[tuple[str, str]] = []
    for key, found in table.items():
        path = f"{above}.{key}" if above else key
        kind: type[Numbers] | type[Choices] = Choices if isinstance(found, list) else Numbers
        given = {"options": found} if isinstance(found, list) else found
        top, inner = path.split(".")[0], isinstance(found, dict) and not {"low", "high"} & found.keys()
        if top in FIXED and not inner:
            faults.append((path, f"expected another path; {FIXED[top]}"))
        elif not isinstance(given, dict):
            faults.append((path, f"expected {{ low = ..., high = ... }} or a list of choices, found {found!r:.60}"))
        elif inner:
            faults += _gather(given, path, ranges)
        else:
            try:
                ranges[path] = kind.model_validate(given)
            except ValidationError as fault:
                faults += [(path, said) for _, said in said_of(fault, given, kind)]
    return faults


def _misfits(space: Space) -> list[str]:
    """What is wrong with a recipe that has an end of a range, everything else being as it stands."""
    faults: dict[str, None] = {}
    for path, span in space.ranges.items():
        for end in span.ends():
            try:
                space.at({path: end})
            except RecipeError as fault:
                faults.update(dict.fromkeys(fault.faults))
    return list(faults)
