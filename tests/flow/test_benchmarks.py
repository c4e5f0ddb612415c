"""The benchmarks run: at the smallest sizes, for what they print and not for how fast they are."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.conftest import toy_table

from minbert.recipe import check_recipe
from minbert.training import train

pytest.importorskip("transformers")


def test_the_script_for_accelerators_runs_without_one() -> None:
    from benchmarks.gpu import run

    rows = run(rounds=1, warm=0)
    assert len(rows) == 8
    assert all(row.ratio > 0 and "tokens/s" in row.mine for row in rows)


def test_ratios_are_taken_within_rounds() -> None:
    from benchmarks.race import Lap, against, race, ratio

    mine, peer = Lap("minbert", [1.0, 2.0, 3.0]), Lap("peer", [2.0, 4.0, 6.0])
    assert ratio(peer, mine) == 2.0
    (row,) = against("work", [mine, peer], "rows", 10, {"peer": 2.5})
    assert row.holds == "NO" and row.mine.startswith("5 rows/s")
    calls: list[str] = []
    laps = race({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=2, warm=1)
    assert calls == ["a", "b"] * 3 and [len(lap.seconds) for lap in laps] == [2, 2]


def test_a_last_layer_that_meets_fewer_rows_does_less() -> None:
    from benchmarks.training import products

    config = SimpleNamespace(hidden_size=4, intermediate_size=8, num_hidden_layers=2)
    encoder, layer = SimpleNamespace(config=config), 4 * 4 * 4 + 2 * 4 * 8
    assert products(encoder, 10) == 6 * layer * 20
    assert products(encoder, 10, 3) == 6 * layer * 13


def test_a_step_with_every_merge_and_weighting_runs() -> None:
    from benchmarks.surgery import batches, stepper

    from minbert.gradients import AnyMerge, AnyWeighting, Sum

    texts = batches()
    for merge in AnyMerge.__metadata__[0].members.values():  # type: ignore[attr-defined]
        assert {task for task, _ in stepper(merge(), texts)()} == {"sst", "quora", "sts"}
    for weighting in AnyWeighting.__metadata__[0].members.values():  # type: ignore[attr-defined]
        assert len(stepper(Sum(), texts, weighting=weighting())()) == 3


def test_the_time_outside_the_encoder_is_a_part_of_a_step() -> None:
    from benchmarks.outside import run

    rows = run(rounds=1)
    assert len(rows) == 5
    assert all(0 < float(row.mine.split("%")[0]) < 50 for row in rows)


def test_training_by_length_and_by_batch_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import sizes

    monkeypatch.setattr(sizes, "LENGTHS", (16, 32))
    monkeypatch.setattr(sizes, "TOKENS", 64)
    monkeypatch.setattr(sizes, "SIZES", (2,))
    monkeypatch.setattr(sizes, "ROWS", 4)
    *lengths, share = sizes.run(rounds=1)
    assert [row.work.split(", ")[1] for row in lengths] == ["batch 4", "batch 4", "batch 2", "batch 2"]
    assert all(row.ratio and row.ratio > 0 for row in lengths)
    assert share.ratio and 0 < share.ratio < 1 and "rows/s" in share.remark


def test_training_on_batches_that_come_once_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import fresh

    monkeypatch.setattr(fresh, "BATCH", 4)
    monkeypatch.setattr(fresh, "BATCHES", 2)
    rows = fresh.run(rounds=1)
    assert [row.peer.split(":")[0] for row in rows] == ["transformers", "transformers, bf16, sorted"] * 2
    assert all(row.ratio and row.ratio > 0 for row in rows)


def test_growth_with_length_tasks_and_rows_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import growth

    monkeypatch.setattr(growth, "TOKENS", 128)
    monkeypatch.setattr(growth, "ROWS", 8)
    rows = growth.run(rows=(50, 100), tasks=(1, 2), lengths=(8, 128))
    assert [row.work.split(",")[0] for row in rows[:4]] == ["length 8", "length 128", "1 tasks", "2 tasks"]
    # Four matrices of a layer and its feed-forward part, 24 width^2, beside 4 width for each token that is looked at.
    operations = (24 * 384**2 + 4 * 384 * 128) / (24 * 384**2 + 4 * 384 * 8)
    assert f"by its operations {operations:.2f}" in rows[1].remark
    assert rows[-1].work.startswith("100 pairs") and "us a row" in rows[-1].mine


def test_each_task_beside_an_encoder_of_its_own(
    tiny_bert: Path, toy_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks import alone

    run = tmp_path / "run"
    train(check_recipe(toy_table(tiny_bert), toy_data), run, with_floors=False)
    monkeypatch.setattr(alone, "RESULTS", tmp_path / "results")
    alone.main([str(run), "--data", str(toy_data), "--epochs", "1", "--batch", "16"])
    lines = capsys.readouterr().out.replace("\n", " ")
    for task in ("sentiment", "questions", "similarity"):
        assert f"{task} (" in lines
    found = json.loads((tmp_path / "results" / "alone.json").read_text())
    for one in found.values():
        assert one["low"] <= one["difference"] <= one["high"]
        assert one["difference"] == pytest.approx(one["minbert"] - one["alone"])
