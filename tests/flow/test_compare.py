"""Two arms of two seeds, from training to the sentence; calibration and errors of a run."""

import json
import re
import shutil
from importlib import resources
from pathlib import Path

import pytest
from tests.conftest import toy_table
from tests.flow.test_commands import good, refused

from minbert.recipe import check_recipe
from minbert.runs import Run
from minbert.training import train

DEMO = Path(str(resources.files("minbert") / "demo"))
NAMES = ("sentiment", "questions", "similarity")
FILES = {"sentiment": "sentiment", "questions": "questions", "similarity": "sentences"}


@pytest.fixture(scope="module")
def runs(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs on the demo's data: two rates with two seeds each, and one that held rows out to select on."""
    folder = tmp_path_factory.mktemp("runs")
    shutil.copytree(DEMO, folder / "data")
    arms = {"sum": {"lr": 1e-3}, "slow": {"lr": 1e-5}}
    for name, stage in arms.items():
        for seed in (0, 1):
            table = toy_table(tiny_bert, **stage, samples=48, epochs=1) | {"seed": seed}
            train(check_recipe(table, folder / "data"), folder / name / f"seed-{seed}", with_floors=seed == 0)
    table = toy_table(tiny_bert, samples=48, epochs=1) | {"select": {"on": 0.2}}
    train(check_recipe(table, folder / "data"), folder / "held", with_floors=False)
    (folder / "experiment.json").write_text(
        json.dumps({"name": "x", "arms": {arm: {} for arm in arms}, "seeds": [0, 1]})
    )
    return folder


def test_a_comparison_has_the_scores_of_the_runs(runs: Path) -> None:
    found = json.loads(good("compare", runs, "--format", "json").output)
    for arm in found["arms"]:
        results = [Run(runs / arm["arm"] / f"seed-{seed}").read("result.json") for seed in (0, 1)]
        assert arm["seeds"] == [0, 1]
        for quantity in ("raw", "norm"):
            assert arm["scores"][quantity] == pytest.approx([result[quantity] for result in results])
        for task in NAMES:
            own = [result["tasks"][task]["dev"][result["tasks"][task]["metric"]] for result in results]
            assert arm["scores"][task] == pytest.approx(own)
        assert arm["recipe_sha256"] == results[0]["recipe_sha256"]
    (against,) = found["against"]
    assert against["contrasts"][0]["quantity"] == "raw" and against["verdict"] in ("gain", "loss", "noise")
    assert found["sentences"][0].startswith("slow against sum: raw ") and found["floors"]["trivial"]["raw"] > 0


def test_text_fits_eighty_columns_and_says_all(runs: Path) -> None:
    said = good("compare", runs)
    assert all(len(line) <= 80 for line in said.output.splitlines()) and "…" not in said.output
    for word in (*NAMES, "floor: trivial", "slow less sum, seeds 0, 1", "seeds and rows", "seeds alone", "bootstrap",
                 "slow against sum: raw", "95 % interval", "2 seeds", "epochs were selected on dev", "stages.train.lr",
                 "sum: recipe", "1 thread", "cpu, float32"):  # fmt: skip
        assert word in said.text, (word, said.output)


def test_runs_named_one_by_one_say_the_same(runs: Path) -> None:
    one_by_one = [runs / arm / f"seed-{seed}" for arm in ("sum", "slow") for seed in (0, 1)]
    assert good("compare", *one_by_one).output == good("compare", runs).output
    assert good("compare", runs / "sum", runs / "slow").output == good("compare", runs).output


def test_two_single_runs_warn_of_seeds(runs: Path) -> None:
    said = good("compare", runs / "sum" / "seed-0", runs / "slow" / "seed-0")
    assert "McNemar p" in said.text and "the noise of seeds is not in the interval" in said.text


def test_markdown_and_latex_hold_the_same_numbers(runs: Path) -> None:
    texts = {form: good("compare", runs, "--format", form).text for form in ("text", "markdown", "latex")}
    numbers = {form: re.findall(r"\d\.\d{3}", text) for form, text in texts.items()}
    assert sorted(numbers["markdown"]) == sorted(numbers["latex"]) == sorted(numbers["text"])
    assert texts["latex"].count(r"\begin{tabular}") == texts["latex"].count(r"\end{tabular}") == 2


def test_what_cannot_be_compared_is_refused(runs: Path, tmp_path: Path) -> None:
    said = refused("compare", runs / "sum" / "seed-0", tmp_path / "none", tmp_path)
    assert "found no such folder" in said and "is this a run folder?" in said
    assert "expected two arms or more with finished runs, found one, 'sum' (1 seed)" in refused(
        "compare", runs / "sum" / "seed-0"
    )


class TestDetails:
    def test_dev_is_read_again_and_looked_at(self, runs: Path) -> None:
        found = json.loads(good("evaluate", runs / "sum" / "seed-0", "--details", "--worst", 2, "--json").output)
        result = Run(runs / "sum" / "seed-0").read("result.json")
        assert [one["task"] for one in found] == list(NAMES)
        for one in found:
            assert one["metrics"] == pytest.approx(result["tasks"][one["task"]]["dev"])
            assert len(one["worst"]) == 2
            for wrong in one["worst"]:
                path, _, line = wrong["place"].rpartition(":")
                assert wrong["texts"][0] in Path(path).read_text(encoding="utf-8").replace('""', '"')
                assert path.endswith(f"{FILES[one['task']]}-dev.csv") and int(line) > 1
            if one["kind"] != "rating":
                assert one["calibration"]["fitted_on"].startswith("halves of these rows")

    def test_rows_held_out_give_the_temperature(self, runs: Path) -> None:
        (found,) = json.loads(good("evaluate", runs / "held", "--details", "--task", "questions", "--json").output)
        assert found["calibration"]["fitted_on"] == "the rows held out to select on"
        assert len(found["calibration"]["temperature"]) == 1

    def test_a_new_file_is_looked_at_alike(self, runs: Path) -> None:
        words = ("evaluate", runs / "sum" / "seed-0", "--details", "--task", "questions", "--json")
        dev = json.loads(good(*words, "--input", runs / "data" / "questions-dev.csv").output)
        (own,) = json.loads(good(*words).output)
        assert dev["calibration"].pop("fitted_on") == "the run's dev rows" and dev["by_length"] == own["by_length"]
        assert dev["metrics"] == own["metrics"] and dev["confusion"] == own["confusion"]
        assert dev["calibration"]["before"]["nll"] == pytest.approx(own["calibration"]["before"]["nll"], rel=1e-6)

    def test_tables_say_the_same(self, runs: Path) -> None:
        said = good("evaluate", runs / "sum" / "seed-0", "--details")
        for word in ("calibration: temperature", "ECE equal width", "reliability", "by length", "by rating", "bias",
                     "worst answers of sentiment:", "sentiment-dev.csv:", "confusion"):  # fmt: skip
            assert word in said.text, (word, said.output)
        plain = good("evaluate", runs / "sum" / "seed-0", "--task", "questions", "--input", DEMO / "questions-dev.csv")
        assert "calibration" not in plain.text and "worst" not in plain.text

    def test_data_that_moved_is_found_again(self, runs: Path, tmp_path: Path) -> None:
        run = shutil.copytree(runs / "sum" / "seed-0", tmp_path / "run")
        record = json.loads((run / "run.json").read_text())
        for splits in record["files"].values():
            for file in (file for files in splits.values() for file in files):
                file["path"] = str(tmp_path / "gone" / Path(file["path"]).name)
        (run / "run.json").write_text(json.dumps(record))
        said = refused("evaluate", run, "--details", "--task", "sentiment")
        assert said.count("expected the file that the run read, found none; say where with --data") == 2
        words = ("evaluate", run, "--details", "--task", "sentiment")
        moved = shutil.copytree(runs / "data", tmp_path / "moved")
        assert "worst answers of sentiment" in good(*words, "--data", moved).text
        with (moved / "sentiment-dev.csv").open("a") as file:
            file.write("One more.,3\n")
        said = refused(*words, "--data", moved)
        assert f"{moved / 'sentiment-dev.csv'}: expected the file that the run read, found another content" in said

    def test_what_is_asked_for_must_be_there(self, runs: Path, tmp_path: Path) -> None:
        run = runs / "sum" / "seed-0"
        assert "did you mean 'questions'?" in refused("evaluate", run, "--details", "--task", "question")
        assert "expected the file that the run read, found none" in refused(
            "evaluate", run, "--details", "--data", tmp_path
        )
        assert "only with --details" in refused("evaluate", run, "--data", tmp_path)
        assert "is this a run folder?" in refused("evaluate", tmp_path, "--details")
