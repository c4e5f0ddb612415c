"""Whole recipes as users write them."""

from pathlib import Path

import pytest
from tests.unit.recipe.test_recipe import ENGINEER

from minbert.errors import RecipeError
from minbert.heads import Concat, Cosine, Linear
from minbert.losses import BinaryCrossEntropy, CrossEntropy, MultipleNegativesRanking, SquaredError
from minbert.mixtures import Proportional, RoundRobin, Sequential
from minbert.optimizer import AdamWSpec, Constant
from minbert.recipe import Recipe
from minbert.tasks import Classes, Rating, YesNo

TASKS = """\
[tasks]
sentiment  = { kind = "classes", text = "sentence", label = "sentiment", train = "sst/train.tsv", dev = "sst/dev.tsv" }
paraphrase = { kind = "yes_no", text = ["sentence1", "sentence2"], label = "is_duplicate", train = "q.tsv" }
similarity = { kind = "rating", range = [0, 5], text = ["sentence1", "sentence2"], label = "rating", train = "s.tsv" }
"""
QUICK = """\
extends = "tasks.toml"
[stages.train]
epochs  = 2
samples = { sentiment = 16000, paraphrase = 32000, similarity = 16000 }
batch.paraphrase = 64
mixture = "round_robin"
batches_per_step = 3
"""
TWO_STAGES = """\
extends = "../tasks.toml"
encoder = { pooling = "cls" }
[tasks]
sentiment.head  = { kind = "linear", dropout = 0.5 }
paraphrase.head = { kind = "concat", dropout = 0.5, project = 128 }   # the report gives no width
similarity.head = { kind = "cosine", dropout = 0.5, project = 128 }
[stages.pretrain]
tasks = ["paraphrase"]
epochs = 10
lr = 1e-5
schedule = "constant"
optimizer = { kind = "adamw", weight_decay = 0, clip = 0 }
[stages.finetune]
epochs = 10
lr = 1e-5
schedule = "constant"
optimizer = { kind = "adamw", weight_decay = 0, clip = 0 }
samples.paraphrase = 6000
mixture = "sequential"
losses = { paraphrase = { kind = "mnr", scale = 1 }, NAME = { kind = "mnr", scale = 1, positive = 4.0 } }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tasks.toml").write_text(TASKS)
    (tmp_path / "quick.toml").write_text(QUICK)
    (tmp_path / "own.toml").write_text(ENGINEER)
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "right.toml").write_text(TWO_STAGES.replace("NAME", "similarity"))
    (tmp_path / "report" / "wrong.toml").write_text(TWO_STAGES.replace("NAME", "sts"))
    return tmp_path


def test_three_files_and_nothing_else(folder: Path) -> None:
    recipe = Recipe.load(folder / "own.toml")
    assert [type(task) for task in recipe.tasks.values()] == [Classes, YesNo, Rating]
    topic, duplicate, similarity = recipe.tasks.values()
    assert (topic.text, topic.train, topic.dev, topic.test) == (("body",), ("tickets.csv",), 0.1, ())
    assert duplicate.is_pair and duplicate.head == Linear(dropout=0.1) and similarity.bounds == (1.0, 5.0)
    assert [task.scored_by for task in recipe.tasks.values()] == ["accuracy", "accuracy", "pearson"]
    assert (recipe.seed, recipe.precision, recipe.select.kind, recipe.select.on) == (0, "auto", "mean", "dev")
    assert recipe.encoder.model_dump() == {
        "source": "minilm", "digest": "", "pooling": "auto", "prompt": "auto", "max_tokens": 256, "dropout": 0.1,
        "adapters": (),
    }  # fmt: skip


def test_the_stage_that_a_recipe_without_stages_has(folder: Path) -> None:
    recipe = Recipe.load(folder / "own.toml")
    ((name, stage),) = recipe.stages.items()
    assert (name, stage.epochs, stage.batch, stage.lr, stage.batches_per_step) == ("train", 3, 32, 5e-5, 1)
    assert stage.mixture == Proportional() and stage.merge.plain and stage.schedule.warmup == 0.1
    assert stage.optimizer == AdamWSpec(weight_decay=0.01, clip=1.0)
    kinds = [type(stage.losses_of(name, task)[0]) for name, task in recipe.tasks.items()]
    assert kinds == [CrossEntropy, BinaryCrossEntropy, SquaredError]


def test_quick(folder: Path) -> None:
    recipe = Recipe.load(folder / "quick.toml")
    stage = recipe.stages["train"]
    assert list(recipe.tasks) == ["sentiment", "paraphrase", "similarity"]
    assert [stage.of("samples", task) for task in recipe.tasks] == [16000, 32000, 16000]
    assert [stage.of("batch", task) for task in recipe.tasks] == [32, 64, 32]
    assert (stage.epochs, stage.mixture, stage.batches_per_step) == (2, RoundRobin(), 3)


def test_two_stages_of_the_report(folder: Path) -> None:
    recipe = Recipe.load(folder / "report" / "right.toml")
    assert recipe.folder == folder / "report" and recipe.encoder.pooling == "cls"
    sentiment, paraphrase, similarity = recipe.tasks.values()
    assert sentiment.head == Linear(dropout=0.5) and sentiment.train == ("sst/train.tsv",)
    assert paraphrase.head == Concat(dropout=0.5, project=128) and similarity.head == Cosine(dropout=0.5, project=128)
    assert list(recipe.stages) == ["pretrain", "finetune"]
    pretrain, finetune = recipe.stages.values()
    assert pretrain.trained(recipe.tasks) == ["paraphrase"] and len(finetune.trained(recipe.tasks)) == 3
    assert pretrain.schedule == finetune.schedule == Constant() and finetune.mixture == Sequential()
    assert pretrain.optimizer == AdamWSpec(weight_decay=0, clip=0)
    assert pretrain.losses_of("paraphrase", paraphrase) == (BinaryCrossEntropy(),)
    assert finetune.losses_of("similarity", similarity) == (MultipleNegativesRanking(scale=1, positive=4.0),)
    assert (finetune.of("samples", "paraphrase"), finetune.of("samples", "sentiment")) == (6000, 0)


def test_a_loss_for_a_task_that_is_not_there_is_refused_with_the_tasks_that_are(folder: Path) -> None:
    path = folder / "report" / "wrong.toml"
    with pytest.raises(RecipeError) as caught:
        Recipe.load(path)
    assert caught.value.faults == (
        f"{path}:{len(TWO_STAGES.splitlines())}: stages.finetune.losses.sts: "
        "expected a task of this recipe (sentiment, paraphrase, similarity), found 'sts'",
    )
