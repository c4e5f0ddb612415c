"""Teachers into a student: found, checked, asked once, looked up; and the same after a kill."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.conftest import toy_table, write_toy

from minbert import train
from minbert.errors import RecipeError, RunError
from minbert.inference import load, load_encoder, score_rows
from minbert.losses import Distill, Targets
from minbert.outputs import Outputs
from minbert.recipe import Recipe, check_recipe
from minbert.runs import TEACHERS
from minbert.shapes import Scalar
from minbert.text.batches import texts_of
from minbert.training import Interrupted, Listener, teaching
from minbert.training.dry_run import dry_run
from minbert.training.plan import StagePlan
from minbert.training.setup import set_up
from minbert.training.work import teaching_work

LOSSES: dict[str, Any] = {"sentiment": "distill", "questions": ["bce", "distill_vectors"], "similarity": ["distill"]}


@pytest.fixture(scope="module")
def home(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data and two teachers, each trained for one task; one of them under another name."""
    folder = tmp_path_factory.mktemp("home")
    write_toy(folder, 24)
    for task, name in (("sentiment", "feeling"), ("similarity", "similarity")):
        table = toy_table(tiny_bert, epochs=1)
        table["tasks"] = {name: table["tasks"][task]}
        train(check_recipe(table, folder), folder / f"{task}-alone", with_floors=False)
    return folder


@pytest.fixture
def table(tiny_bert: Path, home: Path) -> dict[str, Any]:
    """A student of two runs and of an encoder alone."""
    teachers = {"sentiment": "sentiment-alone", "questions": str(tiny_bert), "similarity": "similarity-alone/best"}
    return toy_table(tiny_bert, losses=dict(LOSSES), teachers=teachers, mixture="round_robin", batches_per_step=3)


class Ear(Listener):
    """Counts the work of teachers, and stops when it hears a word for the n-th time."""

    def __init__(self, word: str = "nothing", left: int = 0) -> None:
        self.word, self.left, self.taught = word, left, 0
        self.heard: list[str] = []

    def advance(self, work: int) -> None:
        self.taught += work * self.heard[-1].startswith("teacher")

    def doing(self, what: str) -> None:
        self.heard.append(what)
        self.left -= self.word in what
        if self.left == 0 and self.word in what:
            raise Interrupted("stopped")


def content(run: Path) -> dict[str, bytes]:
    files = (path for path in run.rglob("*") if path.is_file() and path.name != "times.jsonl")
    return {str(path.relative_to(run)): path.read_bytes() for path in files}


def test_a_killed_run_goes_on_to_the_same_bytes_and_asks_no_teacher_twice(
    table: dict[str, Any], home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, whole, killed, ear = check_recipe(table, home), tmp_path / "whole", tmp_path / "killed", Ear()
    train(recipe, whole, listener=ear, with_floors=False)
    planned = teaching_work_of(recipe)
    assert [what for what in ear.heard if what.startswith("teacher")] == [f"teacher of {task}" for task in LOSSES]
    assert ear.taught == planned, "the bar hears of as much work as was planned for the teachers"
    record = json.loads((whole / "run.json").read_text())["teachers"]["train"]
    assert {task: said["task"] for task, said in record.items()} == dict(
        sentiment="feeling", questions="", similarity="similarity"
    )
    assert all(len(said["sha256"]) == 64 for said in record.values())
    asked: list[str] = []
    for name in ("_scores", "_vectors"):
        plain = getattr(teaching, name)
        monkeypatch.setattr(teaching, name, lambda *x, n=name, p=plain: (asked.append(n), p(*x))[1])
    for word, times in (("teacher of similarity", 1), ("train 1/2", 2), ("train 2/2", 2), ("nothing", 1)):
        try:
            ear = Ear(word, times)
            train(recipe, killed, resume=killed.exists(), listener=ear, with_floors=False, snapshot_seconds=0.0)
        except Interrupted:
            assert (killed / TEACHERS).is_dir()
    assert sorted(asked) == ["_scores", "_scores", "_vectors"] and ear.taught == planned
    assert content(killed) == content(whole) and not (killed / TEACHERS).exists()


def teaching_work_of(recipe: Recipe) -> int:
    setup = set_up(recipe)
    plan = StagePlan("train", recipe.stages["train"], setup.data, recipe.seed)
    return sum(teaching_work(setup, plan).values())


class Recording(Distill):
    """Distillation that keeps what it is given."""

    def __call__(self, outputs: Outputs, targets: Targets) -> Scalar:
        SEEN.append(targets)
        return super().__call__(outputs, targets)


SEEN: list[Targets] = []


def test_a_loss_reads_what_the_teacher_says_of_its_rows(table: dict[str, Any], home: Path, tmp_path: Path) -> None:
    table["tasks"] = {"sentiment": table["tasks"]["sentiment"]}
    table["stages"]["train"] |= {"losses": {}, "teachers": {}, "batches_per_step": 1, "batch": 10}
    recipe = check_recipe(table, home)
    mine = {"losses": {"sentiment": (Recording(),)}, "teachers": {"sentiment": "sentiment-alone"}}
    recipe = recipe.model_copy(update={"stages": {"train": recipe.stages["train"].model_copy(update=mine)}})
    SEEN.clear()
    train(recipe, tmp_path / "run", with_floors=False)
    assert [targets.progress for targets in SEEN] == [step / 6 for step in range(6)], "of two epochs of three batches"
    model, rows = load(home / "sentiment-alone", precision="float32").model, set_up(recipe).data["sentiment"]
    train_rows = rows.splits["train"]
    expected = score_rows(model, "feeling", texts_of(train_rows.columns, model.tokenizer))
    found = torch.cat([targets.teacher for targets in SEEN[:3] if targets.teacher is not None])
    labels = torch.cat([targets.labels for targets in SEEN[:3]])
    assert sorted(found.tolist()) == sorted(expected.tolist())
    for label in range(4):
        assert sorted(found[labels == label].tolist()) == sorted(expected[train_rows.labels == label].tolist())


def test_an_encoder_teaches_what_it_embeds(tiny_bert: Path, table: dict[str, Any], home: Path, tmp_path: Path) -> None:
    teacher = tmp_path / "short"
    shutil.copytree(tiny_bert, teacher)
    (teacher / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 8, "do_lower_case": False}))
    table["stages"]["train"]["teachers"]["questions"] = str(teacher)
    setup = set_up(check_recipe(table, home))
    plan = StagePlan("train", setup.recipe.stages["train"], setup.data, 0)
    found = teaching.teach(setup, "train", plan.rows_used(), {}, Listener(), lambda work: None, None)
    taught = found.taught["questions"]
    assert taught.vectors is not None and taught.texts is not None
    texts = setup.data["questions"].splits["train"].rows(taught.rows).columns[0]
    expected = load_encoder(teacher, device="cpu").embed(texts, precision="float32")
    assert load_encoder(tiny_bert, device="cpu").embed(texts, precision="float32") != pytest.approx(expected, abs=1e-2)
    assert taught.vectors[taught.texts[:, 0]].float().numpy() == pytest.approx(expected, abs=2e-3)


def test_a_dry_run_asks_the_teachers_and_writes_nothing(table: dict[str, Any], home: Path) -> None:
    before = sorted(home.rglob("*"))
    assert dry_run(set_up(check_recipe(table, home)))["seconds"] > 0
    assert sorted(home.rglob("*")) == before


def refused(table: dict[str, Any], home: Path, **stage: Any) -> str:
    table["stages"]["train"] |= stage
    with pytest.raises(RecipeError) as caught:
        train(check_recipe(table, home), home / "never", with_floors=False)
    assert not (home / "never").exists()
    return str(caught.value)


def test_misfits_are_told_before_anything_is_written(table: dict[str, Any], home: Path) -> None:
    teachers = table["stages"]["train"]["teachers"]
    said = refused(table, home, teachers={**teachers, "feeling": "x", "similarity": ""}, losses={})
    assert "stages.train.teachers.sentiment: expected a loss that learns from it, found none; add 'distill'" in said
    assert "stages.train.teachers.feeling: expected a task of this recipe" in said
    said = refused(table, home, teachers={}, losses=dict(LOSSES))
    assert "stages.train.losses.similarity: expected a teacher for 'distill', found none" in said
    said = refused(table, home, teachers={"sentiment": "no", "questions": "no", "similarity": "sentiment-alone"})
    assert f"stages.train.teachers.sentiment: expected a run or a checkpoint at {home / 'no'}, found none" in said
    assert "stages.train.teachers.questions: encoder 'no': expected a known name, a folder or" in said
    assert "stages.train.teachers.similarity: expected a task 'similarity' in" in said and "only: feeling" in said
    labels = ["4", "3", "2", "1", "0"]
    table["tasks"]["feeling"] = {**table["tasks"].pop("sentiment"), "labels": labels}
    said = refused(table, home, losses={"feeling": "distill"}, teachers={"feeling": "sentiment-alone"})
    assert "teachers.feeling: task 'feeling' of" in said and "expected the classes 4, 3, 2, 1, 0, found 0, 1" in said


def test_another_teacher_is_refused_on_resume(table: dict[str, Any], home: Path, tmp_path: Path) -> None:
    shutil.copytree(home / "similarity-alone", tmp_path / "teacher")
    path = str(tmp_path / "teacher")
    table["tasks"] = {"similarity": table["tasks"]["similarity"]}
    table["stages"]["train"] |= {"losses": {"similarity": "distill"}, "teachers": {"similarity": path}}
    with pytest.raises(Interrupted):
        train(check_recipe(table, home), tmp_path / "run", listener=Ear("train 1/2", 1), with_floors=False)
    manifest = tmp_path / "teacher" / "best" / "manifest.json"
    manifest.write_text(manifest.read_text() + "\n")
    with pytest.raises(RunError, match="the teachers are not those with which the run began"):
        train(check_recipe(table, home), tmp_path / "run", resume=True, with_floors=False)
