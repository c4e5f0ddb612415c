"""What is compared with what, and what it is called."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.unit.comparison.conftest import FILES, ROWS, TASKS, write_experiment, write_run

from minbert.comparison import Comparison, compare, draws_of, notes, read_arms, sentence
from minbert.metrics import raw_mean
from minbert.runs import Run
from minbert.statistics import DRAWS, holm
from minbert.tasks import Classes, Rating, YesNo


def silent(work: int) -> None:
    pass


def found(*folders: Path, without_leaks: bool = False) -> Comparison:
    return compare(read_arms(folders), silent, without_leaks)


@pytest.fixture(scope="module")
def surgery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment, not to be changed."""
    folder = tmp_path_factory.mktemp("experiments") / "surgery"
    return write_experiment(folder, {"sum": 1.0, "better": 2.0, "worse": 0.3, "same": 1.0}, seeds=4)


def test_the_scores_are_those_of_the_runs(surgery: Path) -> None:
    control = found(surgery).arms[0]
    results = [Run(surgery / "sum" / f"seed-{seed}").read("result.json") for seed in range(4)]
    for quantity in ("raw", "norm"):
        assert control.scores[quantity] == pytest.approx([result[quantity] for result in results])
    for name, task in TASKS.items():
        own = [result["tasks"][name]["dev"][task.scored_by] for result in results]
        assert control.scores[name] == pytest.approx(own)


def test_each_arm_is_called_what_it_is(surgery: Path) -> None:
    comparison = found(surgery)
    assert {one.arm: one.verdict for one in comparison.against} == {"better": "gain", "worse": "loss", "same": "noise"}
    ps = [one.contrasts[0].both.p for one in comparison.against]
    assert [one.p for one in comparison.against] == pytest.approx(holm(ps))
    assert [one.pairs for one in comparison.against] == [[(seed, seed) for seed in range(4)]] * 3
    assert comparison.correlations == ["near"]


def test_a_difference_is_that_of_the_means(surgery: Path) -> None:
    comparison = found(surgery)
    for one in comparison.against:
        assert [contrast.quantity for contrast in one.contrasts] == ["raw", "norm", *TASKS]
        own = next(arm for arm in comparison.arms if arm.arm == one.arm)
        for contrast in one.contrasts:
            less = np.subtract(own.scores[contrast.quantity], comparison.arms[0].scores[contrast.quantity])
            assert contrast.both.difference == pytest.approx(less.mean())
            assert contrast.seeds is not None and contrast.seeds.difference == pytest.approx(less.mean())
            low, high = contrast.bootstrap
            assert low < less.mean() < high and contrast.both.low < less.mean() < contrast.both.high
            assert contrast.mcnemar is None
        assert one.detectable > 0


def test_only_seeds_that_both_have_are_compared(surgery: Path, tmp_path: Path) -> None:
    surgery = shutil.copytree(surgery, tmp_path / "surgery")
    (surgery / "sum" / "seed-3" / "result.json").unlink()
    (surgery / "better" / "seed-0" / "result.json").unlink()
    (surgery / "same" / "seed-1" / "result.json").unlink()
    pairs = {one.arm: [ours for _, ours in one.pairs] for one in found(surgery).against}
    assert pairs == {"better": [1, 2], "worse": [0, 1, 2], "same": [0, 2]}
    arms = read_arms([surgery])
    assert "sum: 1 of 4 runs are not finished" in notes(arms, compare(arms, silent), False)


def test_two_runs_have_mcnemar_and_no_seeds(tmp_path: Path) -> None:
    one, two = write_run(tmp_path / "a", 0), write_run(tmp_path / "b", 7, 2.5, settings="lr = 2e-4")
    (against,) = found(one, two).against
    assert against.pairs == [(0, 7)] and against.verdict == "gain"
    tests = {contrast.quantity: contrast.mcnemar for contrast in against.contrasts}
    assert tests["raw"] is None and tests["near"] is None and 0 < (tests["topic"] or 0) < 0.05
    assert all(contrast.seeds is None for contrast in against.contrasts)
    said = sentence(against, 1)
    assert "1 seed, p = " in said and "the noise of seeds is not in the interval" in said and "a gain between" in said


def test_the_same_answers_are_no_difference(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / version / "run") for version in ("old", "new")]
    (against,) = found(*folders).against
    assert against.verdict == "noise" and against.contrasts[0].both.p == 1 and against.detectable == 0
    assert "raw +0.000" in sentence(against, 1) and "no answer is worth more or less" in sentence(against, 1)


def test_no_seed_in_common_is_no_comparison(tmp_path: Path) -> None:
    ours = [write_run(tmp_path / f"a-seed-{seed}", seed) for seed in (0, 1)]
    theirs = [write_run(tmp_path / f"b-seed-{seed}", seed, settings="lr = 2e-4") for seed in (2, 3)]
    (against,) = found(*ours, *theirs).against
    assert sentence(against, 0) == "b against a: no seed in common, so no comparison"


CHANGED: list[tuple[dict[str, Any], str]] = [
    ({"topic": Classes(text=("a",), labels=("x", "y", "w"), **FILES)}, "other dev rows, or other labels"),
    ({"near": Rating(text=("a", "b"), range=(0.0, 6.0), **FILES)}, "other dev rows, or other labels"),
    ({"same": YesNo(text=("a", "b"), metric="f1", **FILES)}, "another metric (accuracy, f1)"),
    ({"fourth": YesNo(text=("a", "b"), **FILES)}, "not scored in both"),
]


@pytest.mark.parametrize(("change", "why"), CHANGED)
def test_tasks_that_differ_are_left_out(tmp_path: Path, change: dict[str, Any], why: str) -> None:
    folders = [write_run(tmp_path / "a"), write_run(tmp_path / "b", settings="lr = 2e-4", tasks={**TASKS, **change})]
    arms = read_arms(folders)
    comparison = compare(arms, silent)
    (against,) = comparison.against
    (name,) = change
    assert against.apart == {name: why}
    assert [contrast.quantity for contrast in against.contrasts][2:] == [task for task in TASKS if task != name]
    both = 3 if name == "fourth" else 2
    assert against.contrasts[0].quantity == f"raw of {both} of {len({**TASKS, **change})} tasks"
    assert f"{name}: no comparison of b with a: {why}" in notes(arms, comparison, False)


def test_other_rows_of_every_task_are_no_comparison(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / "a"), write_run(tmp_path / "b", settings="lr = 2e-4", rows_seed=1)]
    arms = read_arms(folders)
    comparison = compare(arms, silent)
    (against,) = comparison.against
    assert sentence(against, 0) == "b against a: no task that can be compared" and len(against.apart) == 3
    assert notes(arms, comparison, False)


def test_other_files_are_other_rows(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / name, settings=f'x = "{name}"') for name in ("a", "b")]
    run = Run(folders[1])
    record = run.read("run.json")
    record["files"]["topic"]["dev"][0]["sha256"] = "other"
    run.write("run.json", record)
    (against,) = found(*folders).against
    assert against.apart == {"topic": "other dev rows, or other labels"}


def test_seeds_may_have_rows_of_their_own(tmp_path: Path) -> None:
    # As where dev is a share held out: each seed draws another one.
    folders = [
        write_run(tmp_path / f"{arm}-seed-{seed}", seed, skill, f'x = "{arm}"', rows_seed=seed)
        for arm, skill in (("a", 1.0), ("b", 2.0))
        for seed in range(4)
    ]
    (against,) = found(*folders).against
    assert not against.apart and against.verdict == "gain"


def test_rows_that_train_gives_away_can_be_left_out(surgery: Path) -> None:
    every, clean = found(surgery), found(surgery, without_leaks=True)
    assert every.arms[0].scores["topic"] != clean.arms[0].scores["topic"]
    arms = read_arms([surgery])
    assert any("3 of 80 dev rows can be had from train; left out here" in line for line in notes(arms, clean, True))


def test_heads_are_not_compared_with_embeddings(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / name, settings=f'name = "{name}"') for name in ("one", "all")]
    for folder in folders:
        result = json.loads((folder / "result.json").read_text())
        for task, found in result["tasks"].items():
            found["scored_by"] = "embedding" if folder.name == "one" and task != "topic" else "head"
        (folder / "result.json").write_text(json.dumps(result))
    found = compare(read_arms(folders), silent)
    assert set(found.arms[0].scores) == {"topic", "same", "near"} and "raw" in found.arms[1].scores
    (one,) = found.against
    assert [contrast.quantity for contrast in one.contrasts] == ["topic"]
    why = "scored by the cosine of its embeddings and by its head"
    assert one.apart == {"same": why, "near": why}


def test_the_notes_say_whose_epochs_were_selected_on_dev(tmp_path: Path) -> None:
    folders = [
        write_run(tmp_path / "a", settings='name = "a"'),
        write_run(tmp_path / "b", settings='name = "b"', selected_on=0.1),
        write_run(tmp_path / "c", settings='name = "c"', best={"stage": None, "epoch": None}),
    ]
    arms = read_arms(folders)
    said = notes(arms, compare(arms, silent), False)
    assert "epochs were selected on 10% of train, held out" in said
    assert "epochs were selected on dev, on which they are scored here: the scores of a are somewhat too high" in said


def test_one_task_is_its_own_mean(tmp_path: Path) -> None:
    only = {"topic": TASKS["topic"]}
    folders = [write_run(tmp_path / name, settings=f'x = "{name}"', tasks=only) for name in ("a", "b")]
    comparison = found(*folders)
    assert [contrast.quantity for contrast in comparison.against[0].contrasts] == ["topic"]
    assert list(comparison.arms[0].scores) == ["topic"]


def test_the_work_is_told_whole(surgery: Path) -> None:
    arms, told = read_arms([surgery]), []
    compare(arms, told.append)
    assert sum(told) == draws_of(arms) == 3 * ROWS * DRAWS


def test_the_same_command_gives_the_same_numbers(surgery: Path) -> None:
    assert found(surgery) == found(surgery)


class TestWords:
    def test_a_sentence_has_all_that_decides(self, surgery: Path) -> None:
        comparison = found(surgery)
        better, worse, same = (sentence(one, 3) for one in comparison.against)
        assert better.startswith("better against sum: raw +0.") and better.endswith("correction for 3 arms): a gain")
        assert "4 seeds, p = 0.0" in worse and worse.endswith(": a loss")
        assert f"noise; a difference of {comparison.against[2].detectable:.3f} could have been seen" in same
        assert all("95 % interval" in said for said in (better, worse, same))

    def test_the_notes_say_what_a_reader_must_know(self, surgery: Path) -> None:
        arms = read_arms([surgery])
        lines = notes(arms, compare(arms, silent), False)
        digest = read_arms([surgery])[1].runs[0].recipe[:12]
        for line in (
            "a gain or a loss is where p of raw, over seeds and rows, is below .05 after Holm's correction for 3 arms; "
            "all else is secondary and not corrected",
            "epochs were selected on dev, on which they are scored here: all scores are somewhat too high",
            "topic: 3 of 80 dev rows can be had from train; --without-leaks leaves them out",
            "note: seen before",
            f"better: recipe {digest}; name = better (sum)",
            "computed on a processor, 1 thread, cpu, float32, torch 2",
        ):
            assert line in lines, lines

    def test_two_machines_are_told(self, tmp_path: Path) -> None:
        folders = [write_run(tmp_path / name, settings=f'x = "{name}"', selected_on=0.1, note="") for name in "ab"]
        run = Run(folders[1])
        record = run.read("run.json")
        record["environment"] |= {"threads": 4, "precision": "bfloat16"}
        run.write("run.json", record)
        arms = read_arms(folders)
        lines = notes(arms, compare(arms, silent), False)
        assert lines[-2:] == [
            "computed on a processor, 1 thread, cpu, float32, torch 2",
            "computed on a processor, 4 threads, cpu, bfloat16, torch 2",
        ]
        assert "not all runs were made under the same conditions" in lines[-3]
        assert not any("selected on dev" in line or line.startswith("note:") for line in lines)

    def test_many_changes_are_counted(self, tmp_path: Path) -> None:
        many = "\n".join(f"k{i} = {i}" for i in range(9))
        arms = read_arms([write_run(tmp_path / "a", settings="k0 = 1"), write_run(tmp_path / "b", settings=many)])
        line = next(line for line in notes(arms, compare(arms, silent), False) if line.startswith("b: recipe"))
        assert "k0 = 0 (1), k1 = 1 (-)" in line and line.endswith("k5 = 5 (-), and 3 more")


def test_raw_is_the_mean_of_the_tasks(surgery: Path) -> None:
    scores = found(surgery).arms[1].scores
    for seed in range(4):
        assert scores["raw"][seed] == pytest.approx(raw_mean({task: scores[task][seed] for task in TASKS}))
