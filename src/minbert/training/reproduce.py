"""The rows of the report's Table 1 as runs."""

from dataclasses import dataclass
from pathlib import Path

from minbert.errors import RecipeError
from minbert.recipe import Recipe, load_recipe

ROWS = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "8-control")


@dataclass(frozen=True)
class Settings:
    """What may differ from the report, the same in every row.

    Attributes:
        epochs: of every stage; 0: the report's ten.
        limit: rows of train and of dev per task; 0: all (of Quora 6,000 of train).
        lr: learning rate; 0: the report's 1e-5.
        encoder: its source.
        seed: of everything random.
    """

    epochs: int = 0
    limit: int = 0
    lr: float = 0.0
    encoder: str = "minilm"
    seed: int = 0

    @property
    def name(self) -> str:
        """A folder name that tells the settings apart."""
        encoder = self.encoder.strip("/.").replace("/", "-").replace("@", "-")
        parts = [encoder, f"epochs-{self.epochs or 10}", f"limit-{self.limit or 'none'}", f"lr-{self.lr or 1e-5:g}"]
        return "_".join(parts + ([f"seed-{self.seed}"] if self.seed else []))

    def recipe(self, row: str) -> Recipe:
        """The recipe of a row under these settings."""
        plain = load_recipe(f"report/row-{row}")
        sets = [f'encoder.source="{self.encoder}"', f"seed={self.seed}"]
        sets += [f"tasks.{name}.limit={self.limit}" for name in plain.tasks if self.limit]
        sets += [f"stages.{name}.epochs={self.epochs}" for name in plain.stages if self.epochs]
        sets += [f"stages.{name}.lr={self.lr}" for name in plain.stages if self.lr]
        return load_recipe(f"report/row-{row}", sets)

    def folder(self, root: Path, row: str) -> Path:
        """Where the run of a row goes."""
        return root / self.name / f"row-{row}"


def rows_of(text: str) -> list[str]:
    """`0-3,8` as row numbers; 8 brings its control along.

    Raises:
        RecipeError: not of that form, or no such row.
    """
    found: list[str] = []
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if (
            not first.isdigit()
            or (last and not last.isdigit())
            or int(last or first) > 8
            or int(last or first) < int(first)
        ):
            raise RecipeError(f"--rows {text}: expected numbers from 0 to 8 such as 0-3,8, found {part.strip()!r}")
        numbers = range(int(first), int(last or first) + 1)
        found += [row for row in ROWS if int(row[0]) in numbers and row not in found]
    return found
