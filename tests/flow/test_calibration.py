"""Calibration: fitted on held-out rows, kept with the checkpoint, followed by every answer."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.conftest import toy_table, write_toy

from minbert import train
from minbert.errors import RecipeError
from minbert.inference import load
from minbert.recipe import Recipe, check_recipe
from minbert.reporting.tables import result_notes
from minbert.runs import Run
from minbert.statistics import fit_platt, fit_temperature
from minbert.training.answers import Answers, read_answers


def recipe_of(encoder: Path, folder: Path, calibrate: bool) -> Recipe:
    table = toy_table(encoder)
    table["select"] = {"on": 0.3, "calibrate": calibrate}
    return check_recipe(table, folder)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    write_toy(folder)
    return folder


@pytest.fixture(scope="module")
def runs(tiny_bert: Path, home: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    """The same run, left as it is and calibrated."""
    place = tmp_path_factory.mktemp("calibration")
    for calibrate in (False, True):
        train(recipe_of(tiny_bert, home, calibrate), place / str(calibrate), with_floors=False)
    return {calibrate: place / str(calibrate) for calibrate in (False, True)}


@pytest.fixture(scope="module")
def answers(runs: dict[bool, Path]) -> dict[bool, Answers]:
    return {calibrate: read_answers(run) for calibrate, run in runs.items()}


def lines(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "best" / "model.json").read_text()).get("calibration", {})
    return found


def test_it_is_fitted_on_the_rows_held_out_and_moves_every_score(
    runs: dict[bool, Path], answers: dict[bool, Answers]
) -> None:
    kept = lines(runs[True])
    assert not lines(runs[False]) and set(kept) == {"sentiment", "questions"}
    for task, splits in answers[False].items():
        scores, labels = splits["select"].scores.double().numpy(), splits["select"].labels.long().numpy()
        line = (1.0, 0.0)
        if task == "questions":
            line = fit_platt(scores, labels)
        elif task == "sentiment":
            line = (1 / fit_temperature(scores, labels), 0.0)
        assert kept.get(task, (1.0, 0.0)) == pytest.approx(line)
        for split in ("dev", "select"):
            wanted = line[0] * splits[split].scores + line[1]
            torch.testing.assert_close(answers[True][task][split].scores, wanted)


def test_a_checkpoint_answers_as_the_run_did(runs: dict[bool, Path]) -> None:
    result = Run(runs[True]).read("result.json")
    plain, calibrated = load(runs[False]), load(runs[True])
    texts = [("is it so", "is it thus"), ("a dog", "the moon")]
    before, after = plain.predict("questions", texts), calibrated.predict("questions", texts)
    scale, shift = lines(runs[True])["questions"]
    logits = np.log(before.probabilities[:, 1] / before.probabilities[:, 0])
    assert after.probabilities[:, 1] == pytest.approx(1 / (1 + np.exp(-(scale * logits + shift))), abs=1e-4)
    assert result["tasks"]["questions"]["calibration"] == {"scale": scale, "shift": shift}
    assert any("questions: calibrated on the rows held out" in line for line in result_notes(result))
    assert "calibration" not in result["tasks"]["similarity"]


def test_a_temperature_changes_no_answer(answers: dict[bool, Answers]) -> None:
    before, after = (answers[calibrate]["sentiment"]["dev"].scores for calibrate in (False, True))
    assert not torch.equal(before, after) and torch.equal(before.argmax(1), after.argmax(1))


def test_a_run_killed_after_the_fit_ends_as_if_it_had_not_been(
    runs: dict[bool, Path], tiny_bert: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_of(tiny_bert, home, True)
    module = import_module("minbert.training.train")

    def killed(*args: Any) -> Any:
        final(*args)
        raise KeyboardInterrupt

    final = module.final
    with monkeypatch.context() as patch:
        patch.setattr(module, "final", killed)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, tmp_path / "run", with_floors=False)
    assert lines(tmp_path / "run")
    train(recipe, tmp_path / "run", resume=True, with_floors=False)
    for file in ("result.json", "answers.safetensors", "best/model.json", "best/encoder/model.safetensors"):
        assert (tmp_path / "run" / file).read_bytes() == (runs[True] / file).read_bytes(), file


def test_it_is_not_fitted_on_dev(tiny_bert: Path, home: Path) -> None:
    table = toy_table(tiny_bert)
    table["select"] = {"calibrate": True}
    with pytest.raises(RecipeError, match=r"select\.calibrate: expected rows of train held out to fit"):
        check_recipe(table, home)
