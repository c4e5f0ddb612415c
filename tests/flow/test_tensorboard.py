"""The event file, read back."""

from pathlib import Path
from typing import Any

import pytest
from tests.conftest import toy_table

from minbert import train
from minbert.errors import MissingExtra
from minbert.recipe import check_recipe
from minbert.runs import read_lines
from minbert.training import Interrupted, Listener, Several
from minbert.training.tensorboard import TensorBoard

reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")


class Ear(Listener):
    """Stops in the second epoch."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def stepped(self, number: int, losses: list[tuple[str, float]], rate: float) -> None:
        self.heard.append(f"step {number}")
        if number == 5:
            raise Interrupted("stopped")

    def scored(self, line: dict[str, Any]) -> None:
        self.heard.append(f"epoch {line['epoch']}")


def test_losses_rates_and_scores_also_of_a_run_that_was_stopped(
    tiny_bert: Path, toy_data: Path, tmp_path: Path
) -> None:
    table, run, ear = toy_table(tiny_bert, mixture="round_robin", batches_per_step=3), tmp_path / "run", Ear()
    with pytest.raises(Interrupted), TensorBoard(run) as board:
        train(check_recipe(table, toy_data), run, listener=Several(board, ear), with_floors=False)
    assert ear.heard == ["step 1", "step 2", "step 3", "epoch 1", "step 4", "step 5"]
    with TensorBoard(run) as board:
        train(check_recipe(table, toy_data), run, listener=board, resume=True, with_floors=False)
    assert len(list((run / "tensorboard").iterdir())) == 2
    found = reading.EventAccumulator(str(run / "tensorboard"))
    found.Reload()
    lines = read_lines(run / "metrics.jsonl")
    for task in table["tasks"]:
        losses = found.Scalars(f"loss/{task}")
        assert [event.step for event in losses] == [1, 2, 3, 4, 5, 6], "steps that were lost are written once"
        for epoch, line in enumerate(lines):
            mean = sum(event.value for event in losses[3 * epoch : 3 * epoch + 3]) / 3
            assert mean == pytest.approx(line["loss"][task], rel=1e-5)
    assert [event.step for event in found.Scalars("dev/similarity/pearson")] == [3, 6]
    scores = [event.value for event in found.Scalars("select_score")]
    assert scores == pytest.approx([line["select_score"] for line in lines])
    rates = [event.value for event in found.Scalars("rate")]
    assert max(rates) == pytest.approx(1e-3) and rates[-1] == min(rates)


def test_without_the_extra_the_error_comes_before_the_work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("minbert.training.tensorboard.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"tensorboard is not installed; do: pip install 'minbert\[tensorboard\]'"):
        TensorBoard(tmp_path)
