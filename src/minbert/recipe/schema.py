"""A recipe: one frozen value is one run."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import tomlkit
from pydantic import BeforeValidator, Field, ValidationError

from minbert.encoder import AnyAdapter, AskedPooling
from minbert.errors import RecipeError
from minbert.recipe.faults import placed, said_of
from minbert.recipe.misfits import adapter_faults, stage_faults
from minbert.recipe.stage import Stage
from minbert.recipe.toml import Layer, Table, find_recipe, lay_sets, read_extended
from minbert.tasks import AnyTask
from minbert.tasks.task import NAME
from minbert.values import Value, listed


class EncoderSpec(Value):
    """Which encoder, and how it is used.

    Attributes:
        source: a known name (`minilm`, `mpnet`, `tiny`), a folder, `owner/name@revision` on the hub, or a run.
        digest: the SHA-256 its weights must have; empty: recorded, not checked.
        pooling: `mean`, `cls` or `pooler`; `auto`: as the encoder's own folder says, `mean` where it says nothing.
        prompt: stands before every text, such as `"query: "`; `auto`: the default prompt of the encoder's own folder,
            if it has one; empty: none.
        max_tokens: the limit on a sequence; at most the config's.
        dropout: both of the encoder's dropouts in training.
        adapters: `lora`, `pal`, or both.
    """

    source: str = "minilm"
    digest: str = ""
    pooling: AskedPooling = "auto"
    prompt: str = "auto"
    max_tokens: int = Field(default=256, ge=8)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    adapters: Annotated[tuple[AnyAdapter, ...], BeforeValidator(listed)] = ()


class Select(Value):
    """Which epoch is kept.

    Attributes:
        kind: `mean` of the tasks' metrics as they are; `mean_norm`: correlations mapped to 0-1 first.
        weights: by task; a task not named has 1.
        on: `dev`, or the share of train held out for it.
        patience: so many epochs without a better score than the stage's best so far end the stage; 0: none do. The next
            stage goes on from the weights as they are.
        calibrate: fit the probabilities of classes and yes/no on the rows held out by `on`, once, at the end: the best
            checkpoint keeps the fit, and every answer of it goes by it. A yes/no answer may change by it.
    """

    kind: Literal["mean", "mean_norm"] = "mean"
    weights: dict[str, Annotated[float, Field(ge=0)]] = Field(default={})
    on: Literal["dev"] | Annotated[float, Field(gt=0, lt=1)] = "dev"
    patience: int = Field(default=0, ge=0)
    calibrate: bool = False


class Recipe(Value):
    """One run: tasks say what, stages say how, and stages run in the order in which they stand.

    Attributes:
        seed: of everything random.
        precision: `auto` (bfloat16 where a short probe shows it faster), `bfloat16` or `float32`.
        encoder: the shared part.
        tasks: by name.
        stages: by name; absent: one stage `train` with the defaults; an empty table: nothing is trained, only scored.
        select: which epoch is kept.
        folder: where the recipe stands: paths in it are relative to it. Not part of the recipe's digest.
    """

    seed: int = Field(default=0, ge=0)
    precision: Literal["auto", "bfloat16", "float32"] = "auto"
    encoder: EncoderSpec = EncoderSpec()
    tasks: dict[str, AnyTask] = Field(min_length=1)
    stages: dict[str, Stage] = Field(default={"train": Stage()})
    select: Select = Select()
    folder: Path = Field(default=Path(), exclude=True)

    @classmethod
    def load(cls, name: str | Path, sets: Sequence[str] = (), complete: "Complete | None" = None) -> "Recipe":
        """Reads a recipe.

        Args:
            name: a TOML file, or the name of a recipe in the package (`quick`, `report/row-3`).
            sets: assignments such as `stages.train.lr=3e-5`, applied last.
            complete: what the recipe leaves unsaid is taken from elsewhere by this, before it is checked as a whole.

        Raises:
            RecipeError: every fault with file and line, at once.
        """
        path = find_recipe(name)
        table, layers = read_extended(path)
        lay_sets(table, sets)
        # What may vary is for `minbert tune`; a run is one choice.
        table.pop("tune", None)
        return cls.check(table, path.parent, layers, complete, sets)

    @classmethod
    def check(
        cls,
        table: Table,
        folder: Path,
        layers: Sequence[Layer] = (),
        complete: "Complete | None" = None,
        sets: Sequence[str] = (),
    ) -> "Recipe":
        """A recipe from a table.

        Args:
            table: as TOML gives it, without `extends`.
            folder: what paths in it are relative to.
            layers: the files it came from, nearest first, for the lines in errors.
            complete: as for `load`.
            sets: the assignments that were laid on the table, which errors name.

        Raises:
            RecipeError: every fault, at once.
        """
        texts = [(layer, layer.file.read_text(encoding="utf-8")) for layer in layers]
        try:
            recipe = cls.model_validate({**table, "folder": folder})
        except ValidationError as fault:
            raise RecipeError([placed(texts, path, said, sets) for path, said in said_of(fault, table, cls)]) from None
        if complete:
            recipe = complete(recipe)
        misfits = recipe.faults()
        if misfits:
            raise RecipeError([placed(texts, path, said, sets) for path, said in misfits])
        return recipe

    def faults(self) -> list[tuple[str, str]]:
        """What does not fit together: (path, expected, found, remedy)."""
        found = []
        for name, task in self.tasks.items():
            if not NAME.fullmatch(name):
                found.append((f"tasks.{name}", f"expected a name of letters, digits, - and _, found {name!r}"))
            found += [(f"tasks.{name}.{fault.split(':')[0]}", fault.split(": ", 1)[1]) for fault in task.faults()]
        for name, stage in self.stages.items():
            found += [
                (f"stages.{name}.{key}", fault) for key, fault in stage_faults(stage, self.tasks, self.encoder.adapters)
            ]
            if stage.mixture.adaptive and self.select.on == "dev":
                found.append((f"stages.{name}.mixture", _on_dev(stage.mixture.kind)))
        found += adapter_faults(self.encoder.adapters, self.stages)
        if self.select.calibrate and self.select.on == "dev":
            found.append(("select.calibrate", f"{HELD_OUT} to fit probabilities on, {ON_DEV}"))
        for name in self.select.weights:
            if name not in self.tasks:
                found.append((f"select.weights.{name}", f"expected a task ({', '.join(self.tasks)}), found {name!r}"))
        return found

    def taught(self) -> dict[str, set[str]]:
        """By stage, the tasks whose heads this stage or one before it has trained: those that answer after it."""
        found: dict[str, set[str]] = {}
        known: set[str] = set()
        for name, stage in self.stages.items():
            # A head without numbers of its own learns by its encoder.
            tasks = {t for t in stage.trained(self.tasks) if "heads" in stage.update or not self.tasks[t].head.learns}
            known = known | tasks
            found[name] = known
        return found

    def to_toml(self) -> str:
        """The whole recipe, defaults written out."""
        return tomlkit.dumps(_without_none(self.model_dump(mode="json")))

    @property
    def digest(self) -> str:
        """SHA-256 of the whole recipe."""
        return hashlib.sha256(self.to_toml().encode()).hexdigest()


HELD_OUT = "expected rows of train held out"
ON_DEV = "found select.on = 'dev'; set select.on to a share such as 0.05"


def _on_dev(mixture: str) -> str:
    return f"{HELD_OUT} for the scores that {mixture!r} goes by, {ON_DEV}"


Complete = Callable[[Recipe], Recipe]


def _without_none(value: Any) -> Any:
    """TOML has no null: what is None is left out."""
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list | tuple) else value
