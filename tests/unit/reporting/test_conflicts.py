"""What is read out of conflicts.jsonl: pairs, effects, layers; and the picture."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from minbert.errors import MissingExtra, RunError
from minbert.reporting.conflict_plot import plot_conflicts
from minbert.reporting.conflicts import (
    Pair,
    conflict_summary,
    conflict_tables,
    moving_mean,
    ordered_groups,
    pairs_of,
    recorded,
    running,
)

TASKS = ["mood", "same", "alike"]


def line(step: int, tasks: list[str], cosine: float | None, stage: str = "train", **norms: float) -> dict[str, Any]:
    """A step in which every pair has one cosine in every layer."""
    about = {"stage": stage, "epoch": 1, "step": step, "tasks": tasks}
    if len(tasks) < 2:
        return about
    groups = ("layer 10", "layer 2", "embeddings", "all")
    lengths = [norms.get(task, 1.0) for task in tasks]
    pairs = len(tasks) * (len(tasks) - 1) // 2
    return {**about, "norms": dict.fromkeys(groups, lengths), "cosines": dict.fromkeys(groups, [cosine] * pairs)}


class TestPairs:
    LINES = (
        line(1, ["mood", "same"], -0.5, mood=2.0, same=1.0),
        line(11, ["mood"], None),
        line(21, ["same", "mood"], 0.25, mood=4.0, same=1.0),
        line(1, ["mood", "same"], -0.5, "second", mood=2.0, same=1.0),
    )

    def test_a_pair_is_the_same_in_either_order(self) -> None:
        (pair,) = pairs_of(list(self.LINES))
        assert pair.tasks == ("mood", "same") and pair.steps.tolist() == [1, 21, 22]
        assert pair.cosines["all"].tolist() == [-0.5, 0.25, -0.5]
        assert pair.norms["layer 2"].tolist() == [[2, 1], [4, 1], [2, 1]]

    def test_a_summary_says_how_much_how_often_and_when(self) -> None:
        (pair,) = pairs_of(list(self.LINES))
        assert pair.summary("all") == pytest.approx(
            {"cosine": -0.25, "negative": 2 / 3, "first_third": -0.5, "last_third": -0.5, "norm_ratio": 2.0}
        )

    def test_an_effect_is_what_of_the_own_step_is_undone(self) -> None:
        (pair,) = pairs_of(list(self.LINES))
        dots = -0.5 * 2 + 0.25 * 4 - 0.5 * 2
        assert pair.effects() == pytest.approx((dots / (4 + 16 + 4), dots / 3))

    def test_steps_go_on_from_stage_to_stage(self) -> None:
        assert running(list(self.LINES)) == [1, 11, 21, 22]

    def test_layers_stand_from_bottom_to_top(self) -> None:
        assert ordered_groups(list(self.LINES)) == ["embeddings", "layer 2", "layer 10", "all"]

    def test_zero_gradients_say_nothing(self) -> None:
        lines = [line(1, ["mood", "same"], None, mood=0.0), line(2, ["mood", "same"], 0.5)]
        (pair,) = pairs_of(lines)
        found = pair.summary("all")
        assert (found["cosine"], found["negative"], found["norm_ratio"]) == (0.5, 0.0, 1.0)
        (pair,) = pairs_of(lines[:1])
        assert set(pair.summary("all").values()) == {None} and pair.effects() == (None, 0.0)

    def test_steps_without_a_layer_say_nothing_of_it(self) -> None:
        first, second = line(1, ["mood", "same"], 0.5), line(2, ["mood", "same"], 0.5)
        del first["cosines"]["layer 2"], first["norms"]["layer 2"]
        (pair,) = pairs_of([first, second])
        assert np.isnan(pair.cosines["layer 2"]).tolist() == [True, False]


class TestTables:
    def test_they_fit_eighty_columns_and_hold_every_number(self) -> None:
        tasks = [f"long-name-of-{i}" for i in range(4)]
        found = conflict_summary([line(i, tasks, -0.125 if i % 4 else 0.5) for i in range(1, 41)])
        file = io.StringIO()
        for table in conflict_tables(found):
            Console(file=file, width=80, highlight=False).print(table)
        text = file.getvalue()
        assert all(len(row) <= 80 for row in text.splitlines()) and "…" not in text
        assert "+0.031" in text and "75%" in text and text.count("embeddings") == 2
        assert found["steps"] == 40 and found["several_tasks"] == 1 and len(found["pairs"]) == 6

    def test_the_summary_is_json(self) -> None:
        found = conflict_summary([line(1, ["mood", "same"], None)])
        assert json.loads(json.dumps(found))["effects"] == {"mood": {"same": 0.0}, "same": {"mood": 0.0}}


class TestRecorded:
    def test_it_says_how_to_record(self, tmp_path: Path) -> None:
        with pytest.raises(RunError, match="expected a run, found none"):
            recorded(tmp_path)
        (tmp_path / "recipe.toml").touch()
        with pytest.raises(RunError, match="conflicts_every=10"):
            recorded(tmp_path)
        (tmp_path / "conflicts.jsonl").write_text(json.dumps(line(1, ["mood"], None)) + "\n")
        with pytest.raises(RunError, match="expected steps with several tasks, found 1 with one each"):
            recorded(tmp_path)


class TestPicture:
    def pairs(self) -> list[Pair]:
        return pairs_of([line(i, TASKS, (-1.0) ** i / i, mood=float(i)) for i in range(1, 9)])

    @pytest.mark.parametrize(("suffix", "first"), [(".svg", b"<?xml"), (".png", b"\x89PNG")])
    def test_it_is_written(self, tmp_path: Path, suffix: str, first: bytes) -> None:
        rows = [{"task": "mood", "epoch": 1, "scores": {"mood": 0.5}, "change": {}}]
        rows.append({"task": "same", "epoch": 1, "scores": {"mood": 0.4, "same": 0.7}, "change": {"mood": -0.1}})
        plot_conflicts(self.pairs(), rows, "toy", tmp_path / f"x{suffix}")
        assert (tmp_path / f"x{suffix}").read_bytes().startswith(first)

    def test_another_suffix_or_no_matplotlib_is_told(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(RunError, match=r"expected a name that ends in \.svg, \.png, \.pdf, found '\.bmp'"):
            plot_conflicts(self.pairs(), [], "toy", tmp_path / "x.bmp")
        monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
        with pytest.raises(MissingExtra, match=r"pip install 'minbert\[plots\]'"):
            plot_conflicts(self.pairs(), [], "toy", tmp_path / "x.svg")
        assert not list(tmp_path.iterdir())

    def test_a_moving_mean_smooths_what_is_there(self) -> None:
        steps, values = moving_mean(np.arange(8), np.array([1.0, np.nan, 1, 1, 3, 3, 3, 3]))
        assert len(steps) == len(values) == 7 and values[0] == 1 and values[-1] == 3
        assert moving_mean(np.arange(2), np.array([np.nan, np.nan]))[0].tolist() == []
