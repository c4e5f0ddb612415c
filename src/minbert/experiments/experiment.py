"""An experiment: one recipe, what is held the same, the arms that differ, and the seeds."""

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from minbert.errors import RecipeError
from minbert.experiments.seeds import Seeds
from minbert.recipe import Layer, Recipe, check_recipe, find_named, merge_tables, read_extended, read_toml
from minbert.recipe.faults import placed, said_of
from minbert.recipe.toml import Table
from minbert.tasks.task import NAME
from minbert.values import Value


class Spec(Value):
    """What stands in the file.

    Attributes:
        base: the recipe: a file, relative to the experiment's own, or a name in the package.
        seeds: a list, or a text such as `0-4`; each arm is run with each.
        hold: overrides for every arm, by the paths of the recipe.
        arms: by name, what an arm overrides; the first one is the control.
    """

    base: str
    seeds: Seeds
    hold: Table = Field(default={})
    arms: dict[str, Table] = Field(min_length=1)


@dataclass(frozen=True)
class Experiment:
    """An experiment whose recipes are all valid.

    Attributes:
        name: the file's, without its suffix.
        spec: what stands in the file.
        recipes: by arm, with the first seed.
    """

    name: str
    spec: Spec
    recipes: dict[str, Recipe]

    def recipe(self, arm: str, seed: int) -> Recipe:
        """The recipe of one run."""
        return self.recipes[arm].model_copy(update={"seed": seed})

    def record(self) -> dict[str, Any]:
        """What `experiment.json` says."""
        digests = {arm: self.recipe(arm, 0).digest for arm in self.recipes}
        return {"name": self.name, **self.spec.model_dump(mode="json"), "recipes_sha256": digests}


def read_experiment(path: Path) -> Experiment:
    """Reads an experiment and checks the recipes of all its arms.

    Args:
        path: a TOML file with `base`, `seeds`, `[arms]` and perhaps `[hold]`.

    Raises:
        RecipeError: every fault of every arm with file and line, at once.
    """
    table, text = read_toml(path)
    try:
        spec = Spec.model_validate(table)
    except ValidationError as fault:
        raise RecipeError(
            [placed([(Layer(path), text)], at, said) for at, said in said_of(fault, table, Spec)]
        ) from None
    faults = [placed([(Layer(path), text)], at, said) for at, said in _misfits(spec)]
    base = find_named(path, text, "base", spec.base)
    plain, layers = read_extended(base)
    plain.pop("tune", None)
    recipes: dict[str, Recipe] = {}
    said: dict[str, list[str]] = {}
    for arm, own in spec.arms.items():
        whole = deepcopy(plain)
        for over in (spec.hold, own, {"seed": spec.seeds[0]}):
            merge_tables(whole, deepcopy(over))
        above = [Layer(path, ("arms", arm)), Layer(path, ("hold",))]
        try:
            recipes[arm] = check_recipe(whole, base.parent, [*above, *layers])
        except RecipeError as fault:
            for line in fault.faults:
                said.setdefault(line, []).append(arm)
    # What is wrong in every arm is no arm's own fault.
    faults += [
        line if len(arms) == len(spec.arms) else f"{line} (arm {', '.join(arms)})" for line, arms in said.items()
    ]
    faults += [placed([(Layer(path), text)], f"arms.{arm}", fault) for arm, fault in _twins(recipes)]
    if faults:
        raise RecipeError(faults)
    return Experiment(path.stem, spec, recipes)


def _misfits(spec: Spec) -> list[tuple[str, str]]:
    """Names that make no folder, and seeds where they would be overruled."""
    found = []
    for arm in spec.arms:
        if not NAME.fullmatch(arm):
            found.append((f"arms.{arm}", f"expected a name of letters, digits, - and _, found {arm!r}"))
    for where, over in {"hold": spec.hold, **{f"arms.{arm}": own for arm, own in spec.arms.items()}}.items():
        if "seed" in over:
            found.append((f"{where}.seed", "expected no seed here; all arms run with the same `seeds`"))
    return found


def _twins(recipes: dict[str, Recipe]) -> list[tuple[str, str]]:
    """Arms that would do the very same work as one before them."""
    first: dict[str, str] = {}
    found = []
    for arm, recipe in recipes.items():
        other = first.setdefault(recipe.digest, arm)
        if other != arm:
            found.append((arm, f"expected another recipe in each arm, found that of arm {other!r}"))
    return found
