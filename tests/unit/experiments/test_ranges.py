"""What a search may vary: read, checked, turned into recipes."""

from pathlib import Path

import pytest

from minbert.errors import RecipeError
from minbert.experiments import Space, read_space
from minbert.recipe import load_recipe

RECIPE = """\
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
batches_per_step = 2
[tune]
stages.train.lr = { low = 1e-5, high = 3e-4, log = true }
stages.train.merge = ["sum", { kind = "pcgrad" }]
stages.train.batch = { low = 16, high = 64, step = 16 }
tasks.same.head = ["linear", { kind = "difference", project = 8 }]
"""


def read(folder: Path, text: str = RECIPE, *sets: str) -> Space:
    (folder / "mine.toml").write_text(text)
    return read_space(folder / "mine.toml", list(sets))


def faults_of(folder: Path, tune: str) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        read(folder, RECIPE.partition("[tune]")[0] + "[tune]\n" + tune)
    return [fault.removeprefix(f"{folder}/") for fault in caught.value.faults]


def test_a_choice_of_each_makes_a_recipe(tmp_path: Path) -> None:
    space = read(tmp_path)
    assert list(space.ranges) == ["stages.train.lr", "stages.train.merge", "stages.train.batch", "tasks.same.head"]
    head = space.ranges["tasks.same.head"].ends()[1]
    found = space.at({"stages.train.lr": 2e-4, "stages.train.merge": "pcgrad", "tasks.same.head": head})
    assert found.stages["train"].lr == 2e-4 and found.stages["train"].merge.kind == "pcgrad"
    assert found.stages["train"].batches_per_step == 2 and found.tasks["same"].head.project == 8
    assert space.recipe.stages["train"].merge.kind == "sum"


def test_the_recipes_own_settings_come_first(tmp_path: Path) -> None:
    own = {"stages.train.lr": 5e-5, "stages.train.merge": "sum", "stages.train.batch": 32, "tasks.same.head": "linear"}
    assert read(tmp_path).start() == own
    del own["stages.train.lr"]
    assert read(tmp_path, RECIPE, "stages.train.lr=1e-2").start() == own


def test_a_run_does_not_know_of_the_ranges(tmp_path: Path) -> None:
    read(tmp_path)
    plain = tmp_path / "plain.toml"
    plain.write_text(RECIPE.partition("[tune]")[0])
    assert load_recipe(tmp_path / "mine.toml").digest == load_recipe(plain).digest
    with pytest.raises(RecipeError, match=r"plain\.toml: expected a table \[tune\] with what may vary, found none"):
        read_space(plain, [])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("stages.train.lr = { low = 2, high = 1 }", "expected low under high, found 2 and 1"),
        ("stages.train.lr = { low = 0, high = 1, log = true }", "expected low above 0 and no step with log"),
        ("stages.train.batch = { low = 1, high = 9, step = 0.5 }", "expected a whole step between whole numbers"),
        ("stages.train.lr = { low = 1 }", "expected this key, found none"),
        ("stages.train.lr = { low = 1, hihg = 2 }", "expected no such key; did you mean 'high'?"),
        ("stages.train.lr = 3", "expected { low = ..., high = ... } or a list of choices, found 3"),
        ("stages.train.merge = ['sum']", "tuple should have at least 2 items"),
        ("stages.train.merge = ['sum', { kind = 'sum' }]", "expected each choice once, found sum, sum"),
        ("seed = [0, 1]", "expected another path; a search compares settings with one seed"),
        ("select.on = [0.1, 0.2]", "expected another path; scores are comparable only on the same rows"),
    ],
)
def test_a_faulty_range(tmp_path: Path, line: str, said: str) -> None:
    found = faults_of(tmp_path, line)
    assert any(fault.startswith("mine.toml:14: tune.") and said in fault for fault in found), found


def test_the_ends_of_all_ranges_are_tried_at_once(tmp_path: Path) -> None:
    found = faults_of(tmp_path, "stages.train.mrege = ['sum', 'pcgrad']\nstages.train.epochs = { low = 0, high = 2 }\n")
    assert [fault.split(": ")[:2] for fault in found] == [
        ["mine.toml:14", "stages.train.mrege"],
        ["mine.toml:15", "stages.train.epochs"],
    ]
