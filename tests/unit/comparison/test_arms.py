"""Which runs are one arm, and what is said of folders that are none."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from tests.unit.comparison.conftest import write_experiment, write_run

from minbert.comparison import read_arms, read_finished
from minbert.errors import RunError
from minbert.runs import Run


def shape(*folders: Path) -> list[tuple[str, list[int], int]]:
    return [(arm.name, list(arm.runs), arm.missing) for arm in read_arms(folders)]


def test_an_experiment_has_its_arms_in_order(tmp_path: Path) -> None:
    folder = write_experiment(tmp_path / "surgery", {"sum": 1.0, "pcgrad": 1.2, "a-third": 1.0})
    (folder / "pcgrad" / "seed-1" / "result.json").unlink()
    shutil.rmtree(folder / "a-third" / "seed-2")
    assert shape(folder) == [("sum", [0, 1, 2], 0), ("pcgrad", [0, 2], 1), ("a-third", [0, 1], 1)]


def test_runs_of_one_recipe_are_one_arm(tmp_path: Path) -> None:
    one = [write_run(tmp_path / f"mine-seed-{seed}", seed, settings="lr = 1e-4") for seed in (2, 0)]
    other = write_run(tmp_path / "other", 0, settings="lr = 2e-4")
    assert shape(one[0], other, one[1]) == [("mine", [2, 0], 0), ("other", [0], 0)]
    assert shape(other, *one)[0][0] == "other"


def test_the_same_recipe_and_seed_again_is_another_arm(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / version / "run", settings="lr = 1e-4") for version in ("old", "new")]
    assert shape(*folders) == [("run", [0], 0), ("run (2)", [0], 0)]
    with pytest.raises(RunError, match="found one, 'run'"):
        read_arms([folders[0], folders[0]])


def test_another_encoder_or_method_is_another_arm(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / name, seed) for seed, name in enumerate(("a", "b", "c"))]
    for folder, change in zip(folders[1:], ({"encoder": {"sha256": "f"}}, {"methods": {"merge": "M"}}), strict=True):
        run = Run(folder)
        run.write("run.json", run.read("run.json") | change)
    assert [name for name, _, _ in shape(*folders)] == ["a", "b", "c"]


def test_a_folder_of_seeds_has_one_recipe_and_each_seed_once(tmp_path: Path) -> None:
    control = write_run(tmp_path / "control", settings="lr = 3e-4")
    write_run(tmp_path / "mix" / "seed-0", 0, settings="lr = 1e-4")
    write_run(tmp_path / "mix" / "seed-1", 1, settings="lr = 2e-4")
    write_run(tmp_path / "mix" / "seed-2", 0, settings="lr = 1e-4")
    with pytest.raises(RunError) as caught:
        read_arms([control, tmp_path / "mix"])
    said = sorted(fault.removeprefix(f"{tmp_path}/") for fault in caught.value.faults)
    assert said[0].startswith("mix/seed-1: expected what") and "but for the seed, found another run" in said[0]
    assert said[1].startswith("mix/seed-2: expected another seed than") and len(said) == 2


def test_a_folder_of_seeds_is_an_arm(tmp_path: Path) -> None:
    folder = write_experiment(tmp_path / "surgery", {"sum": 1.0, "pcgrad": 1.2}, seeds=2)
    assert shape(folder / "pcgrad", folder / "sum") == [("pcgrad", [0, 1], 0), ("sum", [0, 1], 0)]
    assert shape(folder / "pcgrad" / "seed-0", folder / "sum") == [("pcgrad", [0], 0), ("sum", [0, 1], 0)]


def test_the_digest_is_that_of_the_recipe_with_seed_0(tmp_path: Path) -> None:
    runs = [read_finished(write_run(tmp_path / str(seed), seed)) for seed in (0, 11)]
    assert runs[0].recipe == runs[1].recipe == hashlib.sha256(b"seed = 0\nlr = 1e-4\n").hexdigest()
    assert runs[0].settings == {"lr": 1e-4} and runs[1].seed == 11


def test_every_fault_is_told(tmp_path: Path) -> None:
    whole = write_run(tmp_path / "whole")
    names = ("unfinished", "torn", "bare", "strange", "old")
    unfinished, torn, bare, strange, old = (write_run(tmp_path / name, settings=f'x = "{name}"') for name in names)
    (unfinished / "result.json").unlink()
    (torn / "answers.safetensors").write_bytes(b"torn")
    (bare / "answers.safetensors").unlink()
    (strange / "best" / "model.json").write_text('{"tasks": {"topic": {"kind": "poem"}}}')
    (old / "run.json").write_text('{"encoder": {"sha256": "e"}}')
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "experiment.json").write_text("{}")
    folders = [whole, unfinished, torn, bare, strange, old, tmp_path / "none", tmp_path, tmp_path / "experiment"]
    with pytest.raises(RunError) as caught:
        read_arms(folders)
    said = "\n".join(caught.value.faults)
    assert len(caught.value.faults) == 8
    for part in (
        f"{unfinished / 'result.json'}: expected a file of the run, found none; the run is not finished",
        f"{torn / 'answers.safetensors'}: expected tensors",
        f"{bare / 'answers.safetensors'}: expected the answers",
        f"{strange / 'best' / 'model.json'}: expected the tasks of a run",
        f"{old / 'run.json'}: expected 'methods', found none; the file is damaged",
        f"{tmp_path / 'none'}: expected a run or an experiment, found no such folder",
        f"{tmp_path / 'result.json'}: expected a file of the run, found none; is this a run folder?",
        "expected an experiment with arms and seeds",
    ):
        assert part in said, (part, said)


def test_nothing_to_compare_says_why(tmp_path: Path) -> None:
    folder = write_experiment(tmp_path / "surgery", {"sum": 1.0, "pcgrad": 1.2}, seeds=1)
    (folder / "sum" / "seed-0" / "result.json").unlink()
    with pytest.raises(RunError, match=r"found one, 'pcgrad' \(1 seed\); 1 run is not finished"):
        read_arms([folder])
    write_run(folder / "third" / "seed-0")
    (folder / "experiment.json").write_text(json.dumps({"arms": ["sum", "pcgrad", "third"], "seeds": [0]}))
    with pytest.raises(RunError, match="arm 'sum': expected finished runs, found none, and the others are compared"):
        read_arms([folder])
    (folder / "pcgrad" / "seed-0" / "result.json").unlink()
    (folder / "third" / "seed-0" / "result.json").unlink()
    with pytest.raises(RunError, match="found none; 3 runs are not finished"):
        read_arms([folder])
