"""An experiment's file: what its arms become, and what is wrong with it."""

import json
import shutil
from pathlib import Path

import pytest

from minbert.errors import RecipeError, RunError
from minbert.experiments import Experiment, check_jobs, check_place, jobs_of, read_experiment, settle

BASE = """
[tasks.film]
kind = "classes"
text = "sentence"
label = "score"
train = "film.csv"
[tasks.same]
kind = "yes_no"
text = ["a", "b"]
label = "same"
train = "same.csv"
[stages.train]
lr = 1e-4
mixture = "round_robin"
[tune]
stages.train.lr = { low = 1e-5, high = 1e-3 }
"""
SURGERY = """\
base = "recipes/base.toml"
seeds = "0-2"
[hold]
select.on = 0.05
stages.train.batches_per_step = 2
[arms]
sum = {}
pcgrad = { stages.train.merge = "pcgrad" }
[arms.hot.stages.train]
lr = 1e-3
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "base.toml").write_text(BASE)
    return tmp_path


def read(home: Path, text: str = SURGERY) -> Experiment:
    (home / "surgery.toml").write_text(text)
    return read_experiment(home / "surgery.toml")


def faults_of(home: Path, text: str) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        read(home, text)
    return [fault.removeprefix(f"{home}/") for fault in caught.value.faults]


class TestArms:
    def test_each_is_the_base_with_what_is_held_and_its_own(self, home: Path) -> None:
        found = read(home)
        assert (found.name, found.spec.seeds, list(found.recipes)) == ("surgery", (0, 1, 2), ["sum", "pcgrad", "hot"])
        stages = {arm: recipe.stages["train"] for arm, recipe in found.recipes.items()}
        assert [stage.merge.kind for stage in stages.values()] == ["sum", "pcgrad", "sum"]
        assert [stage.lr for stage in stages.values()] == [1e-4, 1e-4, 1e-3]
        assert {stage.batches_per_step for stage in stages.values()} == {2}
        assert {stage.mixture.kind for stage in stages.values()} == {"round_robin"}
        assert {recipe.select.on for recipe in found.recipes.values()} == {0.05}
        assert found.recipe("hot", 2).seed == 2 and found.recipe("hot", 2).stages == found.recipes["hot"].stages

    def test_files_are_found_beside_the_base(self, home: Path) -> None:
        assert read(home).recipes["sum"].folder == home / "recipes"

    def test_the_base_may_be_in_the_package(self, home: Path) -> None:
        found = read(home, 'base = "quick"\nseeds = [3]\n[arms]\nplain = {}\n')
        assert found.recipe("plain", 3).seed == 3 and set(found.recipes["plain"].tasks) > {"sentiment"}

    def test_runs_go_seed_by_seed(self, home: Path) -> None:
        jobs = jobs_of(read(home), home / "runs")
        assert [(job.seed, job.arm) for job in jobs[:4]] == [(0, "sum"), (0, "pcgrad"), (0, "hot"), (1, "sum")]
        assert len(jobs) == 9 and jobs[4].folder == home / "runs" / "pcgrad" / "seed-1" and jobs[4].recipe.seed == 1

    def test_the_record_holds_what_a_comparison_needs(self, home: Path) -> None:
        found = read(home)
        settle(found, home / "runs")
        record = json.loads((home / "runs" / "experiment.json").read_text())
        assert (record["name"], record["base"], record["seeds"]) == ("surgery", "recipes/base.toml", [0, 1, 2])
        assert record["hold"] == {"select": {"on": 0.05}, "stages": {"train": {"batches_per_step": 2}}}
        assert list(record["arms"]) == ["sum", "pcgrad", "hot"]
        assert record["arms"]["pcgrad"] == {"stages": {"train": {"merge": "pcgrad"}}}
        assert record["recipes_sha256"]["hot"] == found.recipe("hot", 0).digest


class TestFaults:
    def test_all_arms_faults_come_at_once_with_their_lines(self, home: Path) -> None:
        text = SURGERY.replace("batches_per_step = 2", "batchs = 2").replace('"pcgrad" }', '"pcgard" }')
        text = text.replace("lr = 1e-3", "lr = -1")
        found = faults_of(home, text)
        assert len(found) == 3
        assert found[0].startswith("surgery.toml:5: stages.train.batchs: expected no such key; did you mean 'batch'?")
        assert found[1].startswith("surgery.toml:8: stages.train.merge: unknown kind 'pcgard'; did you mean 'pcgrad'?")
        assert found[1].endswith("(arm pcgrad)")
        assert found[2].startswith("surgery.toml:10: stages.train.lr: ") and found[2].endswith("found -1 (arm hot)")

    def test_what_does_not_fit_together_stands_where_it_was_set(self, home: Path) -> None:
        found = faults_of(home, SURGERY.replace("batches_per_step = 2", "batches_per_step = 1"))
        assert len(found) == 1
        assert found[0].startswith("surgery.toml:8: stages.train.merge: expected steps with several tasks for 'pcgrad'")

    def test_the_bases_own_faults_are_said_once(self, home: Path) -> None:
        (home / "recipes" / "base.toml").write_text(BASE.replace("lr = 1e-4", "lrr = 1e-4"))
        assert [fault.split(":")[:2] for fault in faults_of(home, SURGERY)] == [["recipes/base.toml", "13"]]

    @pytest.mark.parametrize(
        ("old", "new", "said"),
        [
            ('seeds = "0-2"', 'seeds = "2-0"', "surgery.toml:2: seeds: expected seeds such as 0-4"),
            ('seeds = "0-2"', "seeds = []", "surgery.toml:2: seeds: "),
            ('seeds = "0-2"', "seeds = [0, -1]", "surgery.toml:2: seeds: "),
            ('seeds = "0-2"', "", "surgery.toml: seeds: expected this key, found none"),
            ("[hold]", "[held]", "surgery.toml:3: held: expected no such key; did you mean 'hold'?"),
            ("recipes/base.toml", "bass.toml", "surgery.toml:1: base: recipe 'bass.toml': expected a file or a name"),
            ("select.on = 0.05", "seed = 1", "surgery.toml:4: hold.seed: expected no seed here"),
            ("sum = {}", "sum = { seed = 1 }", "surgery.toml:7: arms.sum.seed: expected no seed here"),
            ("sum = {}", "'a/b' = {}", "surgery.toml:6: arms.a/b: expected a name of letters, digits, - and _"),
            ("sum = {}", "sum = 1", "surgery.toml:7: arms.sum: "),
            ("sum = {}", "sum = {", "surgery.toml:7: expected TOML"),
        ],
    )
    def test_one_fault(self, home: Path, old: str, new: str, said: str) -> None:
        assert any(fault.startswith(said) for fault in faults_of(home, SURGERY.replace(old, new)))

    def test_two_arms_alike_are_a_slip(self, home: Path) -> None:
        found = faults_of(home, SURGERY.replace('"pcgrad" }', '"sum" }'))
        assert found == ["surgery.toml:8: arms.pcgrad: expected another recipe in each arm, found that of arm 'sum'"]

    def test_a_missing_file(self, home: Path) -> None:
        with pytest.raises(RecipeError, match=r"nope\.toml: expected a TOML file, found none"):
            read_experiment(home / "nope.toml")


class TestFolder:
    @pytest.fixture
    def folder(self, home: Path) -> Path:
        """The folder of the experiment, in which two arms have begun."""
        found = read(home)
        settle(found, home / "runs")
        for job in jobs_of(found, home / "runs")[:2]:
            job.folder.mkdir(parents=True)
            (job.folder / "recipe.toml").write_text(job.recipe.to_toml())
        return home / "runs"

    def test_arms_and_seeds_may_be_added(self, home: Path, folder: Path) -> None:
        more = read(home, SURGERY.replace("0-2", "0-3") + "[arms.cold.stages.train]\nlr = 1e-6\n")
        check_place(more, folder)
        check_jobs(jobs_of(more, folder))
        settle(more, folder)
        assert json.loads((folder / "experiment.json").read_text())["seeds"] == [0, 1, 2, 3]

    def test_an_arm_without_runs_may_change_or_go(self, home: Path, folder: Path) -> None:
        check_place(read(home, SURGERY.replace("lr = 1e-3", "lr = 2e-3")), folder)
        check_place(read(home, SURGERY.partition("[arms.hot")[0]), folder)

    @pytest.mark.parametrize(
        ("old", "new", "said"),
        [
            ('"pcgrad" }', '"pcgrad", stages.train.lr = 1 }', "arm 'pcgrad' as it was before its recipe changed"),
            ("pcgrad =", "other =", "arm 'pcgrad', which the experiment does not have any more"),
            ('"0-2"', '"1-2"', "of them seed 0 not among `seeds`"),
        ],
    )
    def test_what_has_runs_stays(self, home: Path, folder: Path, old: str, new: str, said: str) -> None:
        with pytest.raises(RunError, match=said):
            check_place(read(home, SURGERY.replace(old, new)), folder)

    def test_another_experiment_is_refused(self, home: Path, folder: Path) -> None:
        with pytest.raises(RunError, match=r"runs: holds another experiment \(surgery\); choose another --run"):
            check_place(read(home, 'base = "recipes/base.toml"\nseeds = 0\n[arms]\nelse = {}\n'), folder)

    def test_a_folder_of_other_things_is_refused(self, home: Path) -> None:
        with pytest.raises(RunError, match="expected an empty or new folder, found other files"):
            check_place(read(home), home / "recipes")

    @pytest.mark.parametrize("text", ["{", "[]", "{}"])
    def test_a_damaged_record_is_named(self, home: Path, folder: Path, text: str) -> None:
        (folder / "experiment.json").write_text(text)
        with pytest.raises(RunError, match=r"experiment\.json: expected the record of an experiment"):
            check_place(read(home), folder)

    def test_every_foreign_run_is_named(self, home: Path, folder: Path) -> None:
        jobs = jobs_of(read(home), folder)
        shutil.copy(jobs[0].folder / "recipe.toml", jobs[1].folder / "recipe.toml")
        jobs[2].folder.mkdir(parents=True)
        (jobs[2].folder / "notes.txt").touch()
        with pytest.raises(RunError) as caught:
            check_jobs(jobs)
        assert [fault.split(":")[0] for fault in caught.value.faults] == [str(job.folder) for job in jobs[1:3]]
