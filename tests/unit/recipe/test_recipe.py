"""Recipes: four rules, and faults with file and line."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from minbert.errors import RecipeError
from minbert.gradients import Merge, Sum
from minbert.heads import Cosine
from minbert.mixtures import RoundRobin
from minbert.recipe import Recipe, Stage
from minbert.shapes import Gram, Weights
from minbert.tasks import Classes, Rating

ENGINEER = """
[tasks.topic]
kind  = "classes"
train = "tickets.csv"
text  = "body"
label = "category"
[tasks.duplicate]
kind  = "yes_no"
train = "questions.csv"
text  = ["question_a", "question_b"]
label = "same"
[tasks.similarity]
kind  = "rating"
range = [1, 5]
train = "sentences.csv"
text  = ["left", "right"]
label = "rating"
"""


def written(folder: Path, text: str, name: str = "mine.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def faults(folder: Path, text: str, *sets: str) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        Recipe.load(written(folder, text), sets)
    return [fault.removeprefix(f"{folder}/mine.toml") for fault in caught.value.faults]


def test_everything_else_is_a_default(tmp_path: Path) -> None:
    recipe = Recipe.load(written(tmp_path, ENGINEER))
    assert list(recipe.tasks) == ["topic", "duplicate", "similarity"] and list(recipe.stages) == ["train"]
    assert recipe.tasks["topic"].dev == 0.1 and recipe.encoder.source == "minilm"
    assert recipe.folder == tmp_path


@pytest.mark.parametrize("name", ["quick", "tasks", "demo", *(f"report/row-{row}" for row in (*range(9), "8-control"))])
def test_packaged_recipes_come_back_from_their_own_toml(name: str, tmp_path: Path) -> None:
    recipe = Recipe.load(name)
    again = Recipe.load(written(tmp_path, recipe.to_toml()))
    assert again.digest == recipe.digest


def test_a_name_is_a_table_and_a_value_is_a_list_of_one(tmp_path: Path) -> None:
    stage = '[stages.train]\nmixture = "round_robin"\nlosses.duplicate = "mnr"\nupdate = "heads"\n'
    recipe = Recipe.load(written(tmp_path, ENGINEER + stage))
    assert recipe.stages["train"].mixture == RoundRobin()
    assert [loss.kind for loss in recipe.stages["train"].losses["duplicate"]] == ["mnr"]
    assert recipe.stages["train"].update == ("heads",)


def test_tasks_that_a_table_does_not_name_keep_the_default(tmp_path: Path) -> None:
    stage = Recipe.load(written(tmp_path, ENGINEER + "[stages.train]\nbatch.duplicate = 64\n")).stages["train"]
    assert (stage.of("batch", "duplicate"), stage.of("batch", "topic"), stage.of("lr", "topic")) == (64, 32, 5e-5)


def test_extends_merges_tables_and_replaces_kinds(tmp_path: Path) -> None:
    written(
        tmp_path, ENGINEER + '[stages.train]\nlr = 1e-3\nschedule = { kind = "cosine", warmup = 0.3 }\n', "base.toml"
    )
    over = 'extends = "base.toml"\n[stages.train]\nepochs = 7\nschedule = { kind = "constant" }\n'
    stage = Recipe.load(written(tmp_path, over), ["stages.train.epochs=8"]).stages["train"]
    assert (stage.lr, stage.epochs, stage.schedule.kind, stage.schedule.warmup) == (1e-3, 8, "constant", 0.0)


def test_a_cycle_and_a_missing_parent_are_named(tmp_path: Path) -> None:
    written(tmp_path, 'extends = "mine.toml"', "other.toml")
    assert "extends itself" in faults(tmp_path, 'extends = "other.toml"')[0]
    assert "neither" in faults(tmp_path, 'extends = "nowhere.toml"')[0]


def test_all_faults_come_at_once_with_their_lines(tmp_path: Path) -> None:
    text = ENGINEER + '[stages.train]\nepochs = 0\nmerge = "pcgrab"\nfoo = 1\nlosses.topic = { kind = "mnr" }\n'
    found = "\n".join(faults(tmp_path, text))
    assert ":19: stages.train.epochs: input should be greater than or equal to 1, found 0" in found
    assert ":20: stages.train.merge: unknown kind 'pcgrab'; did you mean 'pcgrad'?" in found
    assert ":21: stages.train.foo: expected no such key" in found


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('losses.topic = "mnr"', "stages.train.losses.topic: 'mnr' is for kind"),
        ('losses.sts = "mnr"', "stages.train.losses.sts: expected a task of this recipe"),
        ('merge = "pcgrad"', "batches_per_step = 1"),
        ('merge = "pcgrad"\nbatches_per_step = 3\nmixture = "sequential"', "mixture 'sequential'"),
        ('tasks = ["nobody"]', "stages.train.tasks: expected a task"),
        ('update = ["decoder"]', "expected 'encoder'"),
        ("lr = 0", "greater than 0"),
    ],
)
def test_what_does_not_fit_together_is_refused(tmp_path: Path, lines: str, said: str) -> None:
    assert any(said in fault for fault in faults(tmp_path, f"{ENGINEER}[stages.train]\n{lines}\n"))


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ('head = "concat"', "tasks.topic.head: 'concat' reads two texts"),
        ('metric = "pearson"', "tasks.topic.metric: expected one of accuracy, macro_f1"),
        ("dev = 1.5", "tasks.topic.dev"),
        ('head = "os.system"', "unknown kind 'os.system'"),
    ],
)
def test_what_does_not_fit_a_task_is_refused(tmp_path: Path, task: str, said: str) -> None:
    assert any(
        said in fault for fault in faults(tmp_path, ENGINEER.replace('label = "category"', f'label = "c"\n{task}'))
    )


def test_broken_toml_names_its_line(tmp_path: Path) -> None:
    assert faults(tmp_path, "seed = 1\n[tasks\n")[0].startswith(":2: expected TOML")


def test_set_takes_toml_or_a_plain_string(tmp_path: Path) -> None:
    path = written(tmp_path, ENGINEER)
    sets = ["stages.train.mixture=sequential", "stages.train.lr=3e-5", "tasks.topic.head={kind='linear', dropout=0.4}"]
    recipe = Recipe.load(path, sets)
    assert (recipe.stages["train"].mixture.kind, recipe.stages["train"].lr) == ("sequential", 3e-5)
    assert recipe.tasks["topic"].head.dropout == 0.4
    assert "expected path=value" in faults(tmp_path, ENGINEER, "lr")[0]


def test_values_are_frozen() -> None:
    with pytest.raises(ValidationError):
        Stage().lr = 1.0


class Half(Merge):
    """Half of each."""

    kind: str = "half"

    def __call__(
        self, gram: Gram, state: dict[str, Any], rng: torch.Generator, tasks: Sequence[int]
    ) -> tuple[Weights, dict[str, Any]]:
        return torch.full((len(gram),), 0.5), state


def test_from_python_any_instance_of_a_family_will_do() -> None:
    assert Stage(merge=Half()).merge == Half()
    assert Stage(merge=Sum()).model_dump()["merge"] == {"kind": "sum"}
    with pytest.raises(ValidationError):
        Stage(merge="Half")  # type: ignore[arg-type]


def test_which_heads_can_answer_after_each_stage() -> None:
    files = {"label": "y", "train": "x.csv"}
    tasks = {
        "p": Classes(text=("a",), **files),  # type: ignore[arg-type]
        "q": Rating(text=("a", "b"), range=(0, 5), head=Cosine(), **files),  # type: ignore[arg-type]
        "r": Rating(text=("a", "b"), range=(0, 5), head=Cosine(project=8), **files),  # type: ignore[arg-type]
    }
    stages = {
        "encoder": Stage(update=("encoder",)),
        "heads": Stage(update=("heads",), tasks=("p",)),
        "more": Stage(tasks=("q",)),
        "all": Stage(),
    }
    taught = Recipe(tasks=tasks, stages=stages).taught()
    assert taught == {"encoder": {"q"}, "heads": {"p", "q"}, "more": {"p", "q"}, "all": {"p", "q", "r"}}
