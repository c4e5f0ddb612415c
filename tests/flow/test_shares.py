"""Mixtures that choose how often a task comes, through whole runs: counts, resume, frozen encoder."""

from collections import Counter
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import toy_table

import minbert.training.trainer as trainer_module
from minbert import train
from minbert.recipe import Recipe, check_recipe
from minbert.training import Interrupted, Listener
from minbert.training.dry_run import dry_run
from minbert.training.plan import Slot
from minbert.training.setup import set_up
from minbert.training.step import Stepper

DEMO = Path(str(resources.files("minbert") / "demo"))
MIXTURES: dict[str, Any] = {
    "annealed": {"kind": "annealed", "final": 0.0},
    "progress": {"kind": "progress", "reach": {"sentiment": 0.2, "questions": 0.2}},
}


def recipe_of(encoder: Path, mixture: dict[str, Any], **stage: Any) -> Recipe:
    samples = {"sentiment": 24, "questions": 12, "similarity": 8}
    table = toy_table(encoder, **{"mixture": mixture, "samples": samples, "batch": 4, "epochs": 3, **stage})
    for task in table["tasks"].values():
        task["limit"] = 32
    table["select"] = {"on": 0.25}
    return check_recipe(table, DEMO)


def content(run: Path) -> dict[str, bytes]:
    files = (path for path in run.rglob("*") if path.is_file() and path.name != "times.jsonl")
    return {str(path.relative_to(run)): path.read_bytes() for path in files}


class Dying(Listener):
    """Ends the run at the n-th piece of work, without a word to it."""

    def __init__(self, left: int) -> None:
        self.left = left

    def advance(self, work: int) -> None:
        self.left -= 1
        if not self.left:
            raise Interrupted("gone")


class Watched(Stepper):
    """Counts the rows of each task."""

    rows: Counter[str]

    def __call__(self, number: int, total: int, slots: list[Slot]) -> list[tuple[str, float]]:
        for slot in slots:
            self.rows[slot.task] += len(slot.rows)
        return super().__call__(number, total, slots)


@pytest.mark.parametrize("mixture", list(MIXTURES))
def test_a_run_that_dies_again_and_again_comes_to_the_same_end(
    tiny_bert: Path, tmp_path: Path, mixture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = {"sentiment": "class_balanced", "similarity": ["mse", "cosent"]}
    recipe, quick = recipe_of(tiny_bert, MIXTURES[mixture], losses=losses), {"with_floors": False}
    shown = dry_run(set_up(recipe))["stages"]["train"]
    with monkeypatch.context() as patch:
        patch.setattr(trainer_module, "Stepper", Watched)
        patch.setattr(Watched, "rows", Counter(), raising=False)
        train(recipe, tmp_path / "whole", **quick)
        rows = dict(Watched.rows)
    assert shown["steps"] == 3 * (6 + 3 + 2)
    if mixture == "progress":
        # After the first epoch, with one step for each batch, the other two are beyond their reach.
        assert rows["similarity"] > 4 * (2 + 2 * 8)
    else:
        assert {task: round(count / 3) for task, count in rows.items()} == shown["rows"]
    for deaths in range(40):
        try:
            train(recipe, tmp_path / "broken", resume=deaths > 0, listener=Dying(20), snapshot_seconds=0.0, **quick)
            break
        except Interrupted:
            continue
    assert 2 < deaths < 39 and content(tmp_path / "broken") == content(tmp_path / "whole")


def test_on_a_frozen_encoder_every_row_that_may_come_is_encoded(tiny_bert: Path, tmp_path: Path) -> None:
    # A row without an encoding would be NaN, and end the run.
    recipe = recipe_of(tiny_bert, MIXTURES["progress"], update="heads", draw="once", epochs=2)
    train(recipe, tmp_path / "run", with_floors=False)
