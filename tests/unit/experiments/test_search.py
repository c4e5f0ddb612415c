"""A search with trainings that take no time: what is pruned, what fails, what goes on."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from minbert.errors import DataError, RecipeError, RunError, TrainingError
from minbert.experiments import Given, Search, Trial, read_space, search
from minbert.experiments.ranges import Space
from minbert.recipe import Recipe, Select, Stage
from minbert.runs import Run
from minbert.tasks import Classes
from minbert.training import Interrupted, Listener

RECIPE = """\
[tasks.film]
kind = "classes"
text = "sentence"
label = "score"
train = "film.csv"
[select]
on = 0.1
[stages.train]
epochs = 3
lr = 0.5
[tune]
stages.train.lr = { low = 0.0001, high = 1.0 }
"""


class Training:
    """Stands in for `train`: the score is the learning rate, a bit more each epoch.

    Args:
        says: what is raised in an epoch, by trial and epoch.
    """

    def __init__(self, says: dict[tuple[int, int], Exception] | None = None) -> None:
        self.says = says or {}
        self.rates: dict[int, float] = {}

    def __call__(self, recipe: Recipe, run: Path, data: object, *, listener: Listener, **others: Any) -> None:
        number, rate = int(run.name[-3:]), recipe.stages["train"].lr
        self.rates[number] = rate
        run.mkdir(exist_ok=True, parents=True)
        begun = len(search._epochs(run))
        for epoch in range(begun + 1, 4):
            if (number, epoch) in self.says:
                raise self.says.pop((number, epoch))
            with (run / "metrics.jsonl").open("a") as file:
                file.write(json.dumps({"event": "epoch", "select_score": rate + epoch / 100}) + "\n")
            listener.scored({})
        (run / "result.json").write_text(json.dumps({"best": {"select_score": rate + epoch / 100}}))


@contextmanager
def listen(number: int, settings: object) -> Iterator[Listener]:
    yield Listener()


def begin(folder: Path, text: str = RECIPE) -> Search:
    (folder / "mine.toml").write_text(text)
    return Search(read_space(folder / "mine.toml", []), folder / "search")


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> Training:
    training = Training()
    monkeypatch.setattr(search, "train", training)
    return training


def done(found: Search, trials: int) -> list[Trial]:
    return list(found.run(trials, listen, Given()))


def test_it_starts_from_the_recipe_and_finds_better(tmp_path: Path, training: Training) -> None:
    found = begin(tmp_path)
    trials = done(found, 30)
    assert [trial.number for trial in trials] == list(range(1, 31))
    assert trials[0].settings == {"stages.train.lr": 0.5} and trials[0].scores == (pytest.approx(0.53),)
    assert found.best()[0].scores == (pytest.approx(max(training.rates.values()) + 0.03),)
    assert found.best()[0].settings["stages.train.lr"] > 0.9
    assert found.trials() == trials and done(found, 30) == []


def test_scores_over_fewer_tasks_are_not_judged(tmp_path: Path) -> None:
    def narrow(**stages: list[str]) -> set[str]:
        tasks = {name: Classes(text=("a",), label="y", train="x.csv") for name in "pqr"}
        parts = {name: Stage(tasks=tuple(trained)) for name, trained in stages.items()}
        recipe = Recipe(tasks=tasks, stages=parts, select=Select(on=0.1))
        return Search(Space(recipe, {}, {}, ()), tmp_path / "new").narrow

    assert narrow(one=["p"], two=[]) == {"one"} and narrow(one=[], two=["p"]) == set()
    assert narrow(one=["p"], two=["p", "q"], three=["r"], four=["q"]) == {"one", "two"}


def test_under_the_median_of_an_epoch_it_is_pruned(tmp_path: Path, training: Training) -> None:
    found = begin(tmp_path)
    trials = done(found, 15)
    rates = [training.rates[trial.number] for trial in trials]
    # The first five are seen whole; from then on a trial ends where its best is under the median so far.
    assert [trial.state for trial in trials[:5]] == ["done"] * 5
    pruned = [trial for trial in trials if trial.state == "pruned"]
    assert pruned and all(trial.scores == () for trial in pruned)
    assert max(rates[trial.number - 1] for trial in pruned) < found.best()[0].scores[0] - 0.03
    for trial in pruned:
        assert len(search._epochs(found.place(trial.number))) == 1 and not Run(found.place(trial.number)).finished
    sixth = sorted(rates[:5])[2] > rates[5]
    assert (trials[5].state == "pruned") == sixth


def test_a_training_that_breaks_is_a_failed_trial_and_the_search_goes_on(tmp_path: Path, training: Training) -> None:
    training.says[2, 3] = TrainingError("the loss is nan")
    trials = done(begin(tmp_path), 4)
    assert [trial.state for trial in trials] == ["done", "failed", "done", "done"]
    assert trials[1].remark == "the loss is nan" and trials[1].scores == ()
    assert begin(tmp_path).trials() == trials


def test_wrong_data_end_it_and_once_they_are_right_it_goes_on(tmp_path: Path, training: Training) -> None:
    whole = done(begin(tmp_path), 12)
    (tmp_path / "other").mkdir()
    again = begin(tmp_path / "other")
    for fault in (DataError("film.csv:3: expected ..."), Interrupted("stopped"), OSError("full"), KeyError("own")):
        training.says[4, 2] = fault
        with pytest.raises(type(fault)):
            done(again, 12)
        assert len(again.trials()) == 3
    assert done(again, 12) == whole[3:] and again.trials() == whole


def test_settings_that_do_not_fit_together_are_a_failed_trial(tmp_path: Path, training: Training) -> None:
    other = "[tasks.other]\nkind = 'yes_no'\ntext = 'a'\nlabel = 'b'\ntrain = 'c'\n"
    text = other + RECIPE.replace("epochs = 3", "epochs = 3\nbatches_per_step = 2\nmixture = 'round_robin'")
    choices = "stages.train.merge = ['sum', 'pcgrad']\nstages.train.mixture = ['round_robin', 'sequential']\n"
    trials = done(begin(tmp_path, text + choices), 12)
    clash = {"stages.train.merge": "pcgrad", "stages.train.mixture": "sequential"}
    for trial in trials:
        assert (trial.state == "failed") == (clash.items() <= trial.settings.items())
    failed = [trial for trial in trials if trial.state == "failed"]
    assert failed and "expected steps with several tasks for 'pcgrad'" in failed[0].remark


def test_where_nothing_ends_well_there_is_no_best(tmp_path: Path, training: Training) -> None:
    training.says |= {(number, 1): TrainingError("the loss is nan") for number in range(1, 14)}
    found = begin(tmp_path)
    assert {trial.state for trial in done(found, 13)} == {"failed"} and found.best() == []


@pytest.mark.parametrize("change", ["epochs = 4", "[tune]\nencoder.pooling = ['mean', 'cls']"])
def test_another_search_is_refused(tmp_path: Path, training: Training, change: str) -> None:
    done(begin(tmp_path), 1)
    old = "epochs = 3" if "epochs" in change else "[tune]"
    with pytest.raises(RunError, match="holds a search with another recipe, ranges or objectives"):
        begin(tmp_path, RECIPE.replace(old, change))


def test_a_second_process_is_kept_out(tmp_path: Path, training: Training) -> None:
    pytest.importorskip("fcntl")
    found = begin(tmp_path)
    with Run(found.folder).locked(), pytest.raises(RunError, match="another process"):
        done(found, 1)


def test_nothing_to_train_is_nothing_to_tune(tmp_path: Path) -> None:
    text = RECIPE.partition("[stages.train]")[0] + "[stages]\n[tune]\nencoder.pooling = ['mean', 'cls']\n"
    with pytest.raises(RecipeError, match="expected stages to tune, found none"):
        begin(tmp_path, text)
