"""`--from`: a run goes on from another, with its weights, tasks and settings, and says what that did to them."""

import json
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from safetensors.torch import load_file
from tests.conftest import toy_table, write_toy
from typer.testing import CliRunner

from minbert import Recipe, train
from minbert.cli.main import app
from minbert.errors import MinbertError, RecipeError, RunError
from minbert.recipe import check_recipe
from minbert.training import Interrupted, Listener, continued, read_start
from minbert.training.setup import set_up


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    write_toy(folder, 32, 16)
    return folder


@pytest.fixture(scope="module")
def old(tiny_bert: Path, home: Path) -> Path:
    """A run of two tasks, one of which holds out its dev rows."""
    table = toy_table(tiny_bert, epochs=1, samples={"sentiment": 16})
    del table["tasks"]["similarity"], table["tasks"]["questions"]["dev"]
    train(check_recipe(table, home), home / "old", with_floors=False)
    return home / "old"


@pytest.fixture
def new(tiny_bert: Path) -> dict[str, Any]:
    """The table of one more task."""
    return {"tasks": {"similarity": toy_table(tiny_bert)["tasks"]["similarity"]}}


def test_a_recipe_leaves_unsaid_what_the_run_says(old: Path, new: dict[str, Any], home: Path) -> None:
    start = read_start(old)
    recipe = continued(Recipe.model_validate({**new, "folder": home}), start)
    assert list(recipe.tasks) == ["sentiment", "questions", "similarity"]
    assert recipe.encoder.source == str(old.resolve()) and recipe.encoder.max_tokens == 48
    assert recipe.precision == "float32" and recipe.stages == start.recipe.stages
    assert recipe.tasks["sentiment"].train == (str((home / "sentiment-train.csv").resolve()),)
    assert recipe.tasks["similarity"].train == ("sentences-train.csv",)
    assert continued(recipe, start) == recipe, "to continue twice is to continue once"
    stages = {"train": {"lr": 1e-2, "samples": {"similarity": 5}}}
    said = continued(Recipe.model_validate({**new, "stages": stages, "encoder": {"dropout": 0.2}}), start)
    assert (said.stages["train"].epochs, said.stages["train"].lr) == (1, 1e-2)
    assert said.stages["train"].samples == {"sentiment": 16, "similarity": 5}
    assert (said.encoder.dropout, said.encoder.max_tokens) == (0.2, 48)
    other = continued(Recipe.model_validate({**new, "stages": {"more": {}}}), start)
    assert list(other.stages) == ["more"] and other.stages["more"].epochs == 3
    (home / "sentiment-train.csv").rename(home / "moved.csv")
    assert read_start(old).recipe.tasks["sentiment"].train == ("sentiment-train.csv",), "it is looked for as before"
    (home / "moved.csv").rename(home / "sentiment-train.csv")


class Ear(Listener):
    """Stops a run before its first step."""

    def doing(self, what: str) -> None:
        if what == "train 1/1":
            raise Interrupted("stopped")


def test_weights_go_on_and_scores_are_told_before_and_after(
    old: Path, new: dict[str, Any], home: Path, tmp_path: Path
) -> None:
    recipe, start = Recipe.model_validate({**new, "folder": home}), read_start(old)
    model = set_up(continued(recipe, start), start=start).model
    for name, found in load_file(old / "best" / "heads.safetensors").items():
        assert found.equal(model.heads.state_dict()[name])
    with pytest.raises(Interrupted):
        train(recipe, tmp_path / "run", start=old, listener=Ear(), with_floors=False)
    result = train(recipe, tmp_path / "run", start=old, resume=True, with_floors=False)
    before = json.loads((old / "result.json").read_text())["tasks"]
    assert result["start"]["dev"] == {name: before[name]["dev"] for name in ("sentiment", "questions")}
    assert {name: task["scored_by"] for name, task in result["tasks"].items()} == dict.fromkeys(result["tasks"], "head")
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["start"] == start.record() and len(start.digest) == 64
    assert set(json.loads((tmp_path / "run" / "best" / "model.json").read_text())["tasks"]) == set(recipe.tasks) | set(
        before
    )


def test_what_a_calibrated_run_said_is_told_before(
    tiny_bert: Path, new: dict[str, Any], home: Path, tmp_path: Path
) -> None:
    table = toy_table(tiny_bert, epochs=1, samples=16) | {"select": {"on": 0.3, "calibrate": True}}
    del table["tasks"]["similarity"]
    said = train(check_recipe(table, home), tmp_path / "old", with_floors=False)["tasks"]
    assert "calibration" in said["questions"]
    recipe = Recipe.model_validate({**new, "folder": home})
    result = train(recipe, tmp_path / "run", start=tmp_path / "old", with_floors=False)
    assert result["start"]["dev"] == {name: task["dev"] for name, task in said.items()}


def test_the_command(old: Path, new: dict[str, Any], home: Path, tmp_path: Path) -> None:
    recipe = home / "new.toml"
    recipe.write_text(tomlkit.dumps(new))
    words = ["train", str(recipe), "--from", str(old), "--run", str(tmp_path / "run")]
    # A stage of the old run, and a task that only the old run names.
    sets = ["--set", "stages.train.samples.questions=16", "--set", "stages.train.samples.similarity=16"]
    said = CliRunner(env={"COLUMNS": "80"}).invoke(app, [*words, *sets, "--dry-run"])
    assert said.exit_code == 0 and "similarity 16" in said.output and "sentiment 16" in said.output, said.output
    assert f"minbert data check {recipe} --from {old}" in said.output.replace("\n", "")
    said = CliRunner().invoke(app, ["data", "check", str(recipe), "--from", str(old), "--json"])
    assert list(json.loads(said.output)["tasks"]) == ["sentiment", "questions", "similarity"]
    said = CliRunner().invoke(app, ["data", "check", str(recipe), "--from", str(old), "--fix", str(tmp_path / "clean")])
    assert said.exit_code == 2 and "expected none beside --fix" in said.stderr and not (tmp_path / "clean").exists()
    said = CliRunner(env={"COLUMNS": "80"}).invoke(app, [*words, *sets])
    assert said.exit_code == 0, said.output
    text = " ".join(said.output.split())
    assert "dev before and after" in text and "it went on from" in text
    said = CliRunner().invoke(app, ["train", str(recipe), "--from", str(home)])
    assert said.exit_code == 2 and "result.json: expected a file of the run, found none" in said.stderr


def test_a_seed_that_cannot_go_on_is_told_before_the_first_one_trains(
    old: Path, new: dict[str, Any], home: Path, tmp_path: Path
) -> None:
    (home / "seeds.toml").write_text(tomlkit.dumps(new))
    words = ["train", str(home / "seeds.toml"), "--from", str(old), "--run", str(tmp_path / "run"), "--seeds", "0-1"]
    for more in ([], ["--dry-run"]):
        said = CliRunner().invoke(app, [*words, *more])
        assert said.exit_code == 2 and "seed: expected 0 as in" in said.stderr
    assert not list(tmp_path.iterdir())


def refused(table: dict[str, Any], old: Path, folder: Path) -> str:
    with pytest.raises(MinbertError) as caught:
        train(Recipe.model_validate({**table, "folder": folder}), folder / "never", start=old, with_floors=False)
    assert isinstance(caught.value, RecipeError | RunError) and not (folder / "never").exists()
    return str(caught.value)


def test_what_does_not_fit_is_said_before_anything_is_written(
    old: Path, new: dict[str, Any], home: Path, tiny_bert: Path
) -> None:
    wrong = {
        **new,
        "encoder": {"source": "minilm"},
        "seed": 1,
        "select": {"on": 0.1},
        "stages": {"x": {"tasks": ["sentiment"]}},
    }
    said = refused(wrong, old, home)
    assert "encoder.source: expected none beside --from" in said and "found 'minilm'" in said
    assert "seed: expected 0 as in" in said and "task 'questions' holds out dev by it, found 1" in said
    assert "select.on: expected 'dev' or 'dev' as in" in said
    assert "tasks.similarity: expected a stage that trains it, found none; add it to one of stages.x.tasks" in said
    tasks = toy_table(tiny_bert)["tasks"]
    questions = {**tasks["questions"], "train": ["questions-dev.csv"], "head": "concat"}
    del questions["dev"]
    wrong = {"tasks": {"questions": questions, "sentiment": {**tasks["sentiment"], "kind": "rating", "range": [0, 4]}}}
    said = refused(wrong, old, home)
    assert "tasks.sentiment, which is also a task of" in said and "expected kind 'classes', found 'rating'" in said
    assert "expected the head kind linear, found kind concat" in said
    assert "expected the train files of which that run held out dev, found others" in said
    questions["dev"] = 0.2
    assert "tasks.questions.dev: expected 0.1 as in" in refused({"tasks": {"questions": questions}}, old, home)
