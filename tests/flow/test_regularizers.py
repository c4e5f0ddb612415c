"""Training with regularizers, averages and decay towards the start: what moves, what is kept, what a kill loses."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.conftest import toy_table

from minbert import train
from minbert.recipe import check_recipe
from minbert.regularizers import AnyRegularizer
from minbert.runs import read_lines
from minbert.training import Interrupted, Listener

KINDS = list(AnyRegularizer.__metadata__[0].members)  # type: ignore[attr-defined]
REMEMBERING = {
    "regularizers": ["bregman", {"kind": "smart", "tasks": ["questions"], "epsilon": 0.1}],
    "average": {"kind": "ema", "decay": 0.9},
    "optimizer": {"kind": "adamw", "towards": "start", "weight_decay": 0.1},
}


def weights(run: Path, which: str = "last") -> dict[str, torch.Tensor]:
    found = {f"encoder.{k}": v for k, v in load_file(run / which / "encoder" / "model.safetensors").items()}
    return found | {f"heads.{k}": v for k, v in load_file(run / which / "heads.safetensors").items()}


def toy(encoder: Path, data: Path, still: bool = False, **stage: Any) -> Any:
    """A recipe of a few steps; `still`: without dropout."""
    table = toy_table(encoder, **{"epochs": 1, "samples": 16, "batch": 8, "lr": 1e-3, **stage})
    if still:
        table["encoder"]["dropout"] = 0.0
        for task in table["tasks"].values():
            task["head"] = {"kind": "linear", "dropout": 0.0}
    return check_recipe(table, data)


def trained(recipe: Any, run: Path, **how: Any) -> dict[str, torch.Tensor]:
    train(recipe, run, with_floors=False, **how)
    return weights(run)


def away(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    return max(float((one[key] - other[key]).abs().max()) for key in one)


def test_a_weight_near_0_gives_the_plain_run(tiny_bert: Path, toy_data: Path, tmp_path: Path) -> None:
    plain = trained(toy(tiny_bert, toy_data, still=True), tmp_path / "plain")
    faint = [{"kind": kind, "weight": 1e-9} for kind in KINDS]
    assert away(plain, trained(toy(tiny_bert, toy_data, still=True, regularizers=faint), tmp_path / "faint")) < 1e-5


def test_each_changes_what_is_learned(tiny_bert: Path, toy_data: Path, tmp_path: Path) -> None:
    stages: dict[str, dict[str, Any]] = {kind: {"regularizers": kind} for kind in KINDS if kind != "smart"}
    # In the paper's ball SMART is too faint to see in so few steps.
    stages["smart"] = {"regularizers": {"kind": "smart", "epsilon": 0.1}}
    stages |= {"average": {"average": "ema"}, "start": {"optimizer": REMEMBERING["optimizer"]}}
    few: dict[str, Any] = {"samples": 8, "schedule": "constant"}
    stages["plain"] = {}
    runs = {name: trained(toy(tiny_bert, toy_data, **few, **s), tmp_path / name) for name, s in stages.items()}
    plain = runs.pop("plain")
    assert [name for name, found in runs.items() if not away(plain, found) > 1e-5] == []


def test_a_run_that_stops_in_an_epoch_goes_on_to_the_same_bytes(
    tiny_bert: Path, toy_data: Path, tmp_path: Path
) -> None:
    class Stopping(Listener):
        left = 2

        def doing(self, what: str) -> None:
            self.left -= what.endswith("2/2")
            if not self.left:
                raise Interrupted("stopped")

    recipe = toy(
        tiny_bert, toy_data, epochs=2, mixture="round_robin", batches_per_step=3, merge="pcgrad", **REMEMBERING
    )
    trained(recipe, tmp_path / "whole")
    with pytest.raises(Interrupted):
        train(recipe, tmp_path / "run", listener=Stopping(), with_floors=False, snapshot_seconds=0.0)
    assert (tmp_path / "run" / "snapshot").is_dir()
    train(recipe, tmp_path / "run", resume=True, with_floors=False)
    for name in ("metrics.jsonl", "result.json", "last/heads.safetensors", "last/encoder/model.safetensors"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_the_average_is_scored_and_kept_and_training_goes_on_plain(
    tiny_bert: Path, toy_data: Path, tmp_path: Path
) -> None:
    # A decay of 0 averages over the last step only; another changes what is kept, and not what is learned from.
    plain = trained(toy(tiny_bert, toy_data, epochs=2), tmp_path / "plain")
    last = trained(toy(tiny_bert, toy_data, epochs=2, average={"kind": "ema", "decay": 0}), tmp_path / "last")
    slow = trained(toy(tiny_bert, toy_data, epochs=2, average={"kind": "ema", "decay": 0.9}), tmp_path / "slow")
    assert away(plain, last) == 0 < away(plain, slow)
    lines = {name: read_lines(tmp_path / name / "metrics.jsonl") for name in ("plain", "last", "slow")}
    assert lines["last"] == lines["plain"]
    assert [line["loss"] for line in lines["slow"]] == [line["loss"] for line in lines["plain"]]
    assert [line["dev"] for line in lines["slow"]] != [line["dev"] for line in lines["plain"]]


def test_decay_towards_the_start_holds_the_encoder_and_not_the_heads(
    tiny_bert: Path, toy_data: Path, tmp_path: Path
) -> None:
    # A decay of 1 / lr lands on what it decays to after every step.
    how: dict[str, Any] = {"kind": "adamw", "weight_decay": 1000.0, "decay": "all", "towards": "start"}
    found = trained(toy(tiny_bert, toy_data, schedule="constant", optimizer=how), tmp_path / "run")
    start = {f"encoder.{k}": v for k, v in load_file(tiny_bert / "model.safetensors").items()}
    assert away({key: found[key] for key in start}, start) < 1e-6
    assert all(float(value.abs().max()) < 1e-6 for key, value in found.items() if key.startswith("heads."))
