"""Early stopping: a stage ends when its epochs get no better, and a killed run ends at the same one."""

from pathlib import Path
from typing import Any

import pytest
from tests.conftest import toy_table

from minbert import train
from minbert.recipe import check_recipe
from minbert.reporting.tables import result_notes
from minbert.runs import read_lines
from minbert.training import Interrupted, Listener
from minbert.training.snapshot import Place


class Ear(Listener):
    """Weighs the work, and stops a run at a word."""

    def __init__(self, word: str = "nothing") -> None:
        self.word, self.planned, self.done = word, 0, 0

    def begin(self, work: int, done: int = 0) -> None:
        self.planned, self.done = work, done

    def advance(self, work: int) -> None:
        self.done += work

    def doing(self, what: str) -> None:
        if what == self.word:
            raise Interrupted("stopped")


@pytest.fixture
def table(tiny_bert: Path) -> dict[str, Any]:
    """Heads that hardly move, so that no epoch is better than the first; the second stage is too short to end early."""
    table = toy_table(tiny_bert)
    table["tasks"] = {"sentiment": {**table["tasks"]["sentiment"], "limit": 16}}
    still = {"lr": 1e-12, "batch": 16, "update": "heads"}
    table["stages"] = {"still": {**still, "epochs": 9}, "after": {**still, "epochs": 2}}
    table["select"] = {"patience": 2}
    return table


def content(run: Path) -> dict[str, bytes]:
    files = (path for path in run.rglob("*") if path.is_file() and path.name != "times.jsonl")
    return {str(path.relative_to(run)): path.read_bytes() for path in files}


def test_a_stage_ends_after_so_many_epochs_without_a_better_score(
    table: dict[str, Any], toy_data: Path, tmp_path: Path
) -> None:
    recipe, ear = check_recipe(table, toy_data), Ear()
    result = train(recipe, tmp_path / "run", listener=ear, with_floors=False)
    lines = read_lines(tmp_path / "run" / "metrics.jsonl")
    assert [(line["stage"], line["epoch"]) for line in lines] == [
        *(("still", i) for i in (1, 2, 3)),
        ("after", 1),
        ("after", 2),
    ]
    assert [line.get("stopped") for line in lines] == [None, None, {"of": 9, "patience": 2}, None, None]
    assert result["stopped"] == [{"stage": "still", "epoch": 3, "of": 9, "patience": 2}]
    said = "stage still stopped after epoch 3 of 9: 2 in a row without a better select score (select.patience)"
    assert said in result_notes(result)
    assert 0.9 < ear.done / ear.planned <= 1, "what is left out is taken off the bar"
    for number, word in enumerate(("still 3/9", "after 1/2")):
        with pytest.raises(Interrupted):
            train(
                recipe,
                tmp_path / "killed",
                resume=number > 0,
                listener=Ear(word),
                with_floors=False,
                snapshot_seconds=0.0,
            )
    train(recipe, tmp_path / "killed", resume=True, with_floors=False)
    assert content(tmp_path / "killed") == content(tmp_path / "run")


def test_an_equal_score_is_no_better() -> None:
    place = Place()
    for score, waited in ((0.5, 0), (0.5, 1), (0.4, 2), (0.6, 0), (0.55, 1)):
        place.scored(score)
        assert place.waited == waited
    assert place.peak == 0.6
