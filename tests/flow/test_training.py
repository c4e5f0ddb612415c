"""What a run does: which weights move, by which gradients, on which rows; and what it refuses to do."""

import itertools
import json
import shutil
from collections.abc import Sequence
from importlib import import_module, resources
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
import torch
from safetensors.torch import load_file
from tests.conftest import toy_table
from torch import Tensor

from minbert import train
from minbert.audit.rows import read_rows
from minbert.checkpoint import load_model, take_weights
from minbert.encoder import load_folder, resolve, save_folder
from minbert.errors import DataError, MinbertError, RecipeError, RunError, TrainingError
from minbert.gradients import Merge, PCGrad, Sum
from minbert.heads import Linear
from minbert.inference import load
from minbert.losses import CrossEntropy, Loss, Targets
from minbert.outputs import Outputs
from minbert.recipe import Recipe, check_recipe
from minbert.reporting.page.material import dev_rows
from minbert.runs import Run, read_lines
from minbert.shapes import Gram, Scalar, Weights
from minbert.training import Interrupted, Listener
from minbert.training import dry_run as dry_run_module
from minbert.training import trainer as trainer_module
from minbert.training.answers import read_tasks
from minbert.training.forward import Live
from minbert.training.plan import Slot
from minbert.training.recorded import answered_rows
from minbert.training.setup import Setup, set_up
from minbert.training.step import Stepper
from minbert.training.trainable import trainable

DEMO = Path(str(resources.files("minbert") / "demo"))
STEP = {"mixture": "round_robin", "batches_per_step": 3}
"""One batch of each of three tasks in a step."""


def toy(encoder: Path, rows: int = 16, *, top: dict[str, Any] | None = None, **stage: Any) -> Recipe:
    """A recipe over so many rows of each task of the demo; `top` holds what is no setting of the stage."""
    table = toy_table(encoder, **stage)
    for task in table["tasks"].values():
        task["limit"] = rows
    for path, value in (top or {}).items():
        *parents, key = path.split(".")
        place = table
        for parent in parents:
            place = place.setdefault(parent, {})
        place[key] = value
    return check_recipe(table, DEMO)


def quick(recipe: Recipe, run: Path, **more: Any) -> dict[str, Any]:
    return train(recipe, run, with_floors=False, snapshot_seconds=0.0, **more)


def epochs(run: Path) -> list[dict[str, Any]]:
    return [line for line in read_lines(run / "metrics.jsonl") if line["event"] == "epoch"]


def weights(run: Path, name: str = "last") -> dict[str, Tensor]:
    return load_model(run / name).state_dict()


def moved(recipe: Recipe, run: Path) -> set[str]:
    """The names of the tensors that a run has changed."""
    before = set_up(recipe).model.state_dict()
    return {name for name, tensor in weights(run).items() if not torch.equal(tensor, before[name])}


class Hearing(Listener):
    """Remembers what it hears; stops when it hears a word."""

    def __init__(self, stop: str = "-") -> None:
        self.stop = stop
        self.said: list[str] = []

    def doing(self, what: str) -> None:
        if self.stop in what:
            raise Interrupted("stopped")

    def say(self, line: str) -> None:
        self.said.append(line)


def stopped(recipe: Recipe, run: Path, **more: Any) -> Recipe:
    """Begins a run that stops in its second epoch."""
    with pytest.raises(Interrupted):
        quick(recipe, run, listener=Hearing("2/2"), **more)
    return recipe


class TestFolder:
    def test_a_finished_run_holds_what_is_promised(self, toy_recipe: Recipe, tmp_path: Path) -> None:
        result = train(toy_recipe, tmp_path / "run")
        names = {path.name for path in (tmp_path / "run").iterdir() if not path.name.startswith(".")}
        files = {
            "answers.safetensors",
            "recipe.toml",
            "run.json",
            "metrics.jsonl",
            "times.jsonl",
            "floors.json",
            "result.json",
        }
        assert names == {*files, "best", "last"}
        assert json.loads((tmp_path / "run" / "result.json").read_text()) == result
        assert set(result["tasks"]) == set(toy_recipe.tasks) and 0 < result["norm"] < 1
        assert all({"trivial", "frozen"} <= set(task["floors"]) for task in result["tasks"].values())
        assert result["recipe_sha256"] == toy_recipe.digest
        assert Recipe.load(tmp_path / "run" / "recipe.toml").digest == toy_recipe.digest

    def test_what_is_finished_is_not_run_again(self, tiny_bert: Path, tmp_path: Path) -> None:
        quick(toy(tiny_bert, epochs=1), tmp_path / "run")
        for resume in (False, True):
            with pytest.raises(RunError, match=r"this run is finished; see it with `minbert evaluate"):
                quick(toy(tiny_bert, epochs=1), tmp_path / "run", resume=resume)

    def test_what_is_unfinished_wants_resume(self, tiny_bert: Path, tmp_path: Path) -> None:
        recipe = stopped(toy(tiny_bert), tmp_path / "run")
        with pytest.raises(RunError, match=r"unfinished; go on with --resume, or choose another --run"):
            quick(recipe, tmp_path / "run")

    def test_another_recipe_is_refused(self, tiny_bert: Path, tmp_path: Path) -> None:
        stopped(toy(tiny_bert), tmp_path / "run")
        for resume in (False, True):
            said = r"holds a run of another recipe \(stages\.\w+\.lr: 0\.001 there, 0\.002 here\); choose another --run"
            with pytest.raises(RunError, match=said):
                quick(toy(tiny_bert, lr=2e-3), tmp_path / "run", resume=resume)

    def test_a_file_is_no_folder(self, tiny_bert: Path, tmp_path: Path) -> None:
        (tmp_path / "run").write_text("mine")
        with pytest.raises(RunError, match="expected a folder for the run, found a file"):
            quick(toy(tiny_bert), tmp_path / "run")
        assert (tmp_path / "run").read_text() == "mine"

    def test_a_folder_with_other_files_is_left_alone(self, tiny_bert: Path, tmp_path: Path) -> None:
        (tmp_path / "thesis.txt").write_text("mine")
        with pytest.raises(RunError, match="expected an empty or new folder, found other files"):
            quick(toy(tiny_bert), tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]

    def test_an_empty_folder_will_do(self, tiny_bert: Path, tmp_path: Path) -> None:
        assert quick(toy(tiny_bert, epochs=1), tmp_path)["raw"]

    def test_two_processes_do_not_share_a_run(self, tiny_bert: Path, tmp_path: Path) -> None:
        pytest.importorskip("fcntl")
        with Run(tmp_path).locked(), pytest.raises(RunError, match="another process trains in this run"):
            quick(toy(tiny_bert), tmp_path)

    def test_a_run_that_another_process_ended_meanwhile_is_left_alone(
        self, tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        recipe = toy(tiny_bert, epochs=1)
        quick(recipe, tmp_path / "other")

        def slow(*given: Any) -> Setup:
            shutil.copytree(tmp_path / "other", tmp_path / "run")
            return set_up(*given)

        monkeypatch.setattr(import_module("minbert.training.train"), "set_up", slow)
        with pytest.raises(RunError, match="this run is finished"):
            quick(recipe, tmp_path / "run")

    def test_nothing_is_written_before_everything_is_checked(self, tiny_bert: Path, tmp_path: Path) -> None:
        faulty = [
            (toy(tiny_bert, top={"tasks.sentiment.train": "none.csv"}), DataError),
            (toy(tiny_bert, update="encoder[3:]"), RecipeError),
            (toy(tiny_bert, losses={"similarity": {"kind": "mnr", "positive": 9}}), DataError),
        ]
        for recipe, kind in faulty:
            with pytest.raises(kind):
                quick(recipe, tmp_path / "run")
        assert not (tmp_path / "run").exists()


class TestResume:
    def test_changed_data_are_refused(self, tiny_bert: Path, toy_data: Path, tmp_path: Path) -> None:
        recipe = stopped(check_recipe(toy_table(tiny_bert), toy_data), tmp_path / "run")
        file = toy_data / "sentiment-train.csv"
        file.write_text(file.read_text() + "One more.,3\n")
        with pytest.raises(RunError, match="the data files are not those with which the run began"):
            quick(recipe, tmp_path / "run", resume=True)

    def test_moved_data_are_not(self, tiny_bert: Path, toy_data: Path, tmp_path: Path) -> None:
        recipe = stopped(check_recipe(toy_table(tiny_bert), toy_data), tmp_path / "run")
        toy_data.rename(tmp_path / "elsewhere")
        listener = Hearing()
        quick(recipe, tmp_path / "run", data=tmp_path / "elsewhere", resume=True, listener=listener)
        assert not any("not exact" in line for line in listener.said)

    def test_another_encoder_is_refused(self, tiny_bert: Path, tmp_path: Path) -> None:
        mine = tmp_path / "mine"
        shutil.copytree(tiny_bert, mine)
        recipe = stopped(toy(mine), tmp_path / "run")
        loaded = load_folder(resolve(str(mine)))
        loaded.encoder.pooler.dense.bias.data.add_(1)
        shutil.rmtree(mine)
        mine.mkdir()
        save_folder(mine, loaded.encoder, loaded.tokenizer, loaded.encoder.config, "mean")
        with pytest.raises(RunError, match="the encoder's weights are not those with which the run began"):
            quick(recipe, tmp_path / "run", resume=True)

    def test_another_machine_is_said_to_be_not_exact(self, tiny_bert: Path, tmp_path: Path) -> None:
        recipe, listener = stopped(toy(tiny_bert), tmp_path / "run"), Hearing()
        record = json.loads((tmp_path / "run" / "run.json").read_text())
        now = record["environment"]["threads"]
        record["environment"] |= {"threads": now + 7, "torch": "0.1"}
        (tmp_path / "run" / "run.json").write_text(json.dumps(record))
        assert quick(recipe, tmp_path / "run", resume=True, listener=listener)["raw"]
        (line,) = (line for line in listener.said if "not exact" in line)
        assert f"threads {now} (was {now + 7})" in line and "(was 0.1)" in line and "numpy" not in line

    def test_a_resumed_run_keeps_its_precision(self, tiny_bert: Path, tmp_path: Path) -> None:
        recipe = stopped(toy(tiny_bert, top={"precision": "bfloat16"}), tmp_path / "run")
        quick(recipe, tmp_path / "run", resume=True)
        assert Run(tmp_path / "run").read("run.json")["environment"]["precision"] == "bfloat16"


class Breaking(Loss):
    """Cross-entropy that is no number when it is called for the n-th time."""

    kinds = frozenset({"classes"})
    kind: Literal["breaking"] = "breaking"
    left: ClassVar[list[int]] = []

    def __call__(self, outputs: Outputs, targets: Targets) -> Scalar:
        self.left[0] -= 1
        return CrossEntropy()(outputs, targets) * (float("nan") if self.left[0] == 0 else 1.0)


class TestNumbers:
    def test_a_loss_that_is_no_number_is_named_and_the_last_checkpoint_stands(
        self, tiny_bert: Path, tmp_path: Path
    ) -> None:
        recipe = toy(tiny_bert, batch=8, mixture="sequential", losses={"sentiment": Breaking()})
        Breaking.left[:] = [4]
        with pytest.raises(TrainingError, match=r"stage 'train', step 8, task 'sentiment': the loss is nan") as caught:
            quick(recipe, tmp_path / "run")
        assert caught.value.exit_status == 1 and not Run(tmp_path / "run").finished
        assert load(tmp_path / "run").predict("sentiment", ["good"]).labels
        assert Run(tmp_path / "run").valid("snapshot") and len(epochs(tmp_path / "run")) == 1
        Breaking.left[:] = [0]
        quick(recipe, tmp_path / "run", resume=True)
        quick(recipe, tmp_path / "other")
        assert all(torch.equal(weights(tmp_path / "other")[n], t) for n, t in weights(tmp_path / "run").items())

    def test_a_rate_that_is_far_too_high_is_named(self, tiny_bert: Path, tmp_path: Path) -> None:
        recipe = toy(tiny_bert, lr=1e30, batch=8, schedule="constant")
        with pytest.raises(TrainingError, match=r"stage 'train', step \d+, task .*: the (loss|gradient) is (nan|inf)"):
            quick(recipe, tmp_path / "run")

    def test_scores_that_are_no_numbers_are_named_before_they_are_kept(self, tiny_bert: Path, tmp_path: Path) -> None:
        recipe = toy(tiny_bert, lr=3e38, schedule="constant", **STEP)
        with pytest.raises(TrainingError, match=r"task '\w+': the scores are not finite"):
            quick(recipe, tmp_path / "run")
        assert not (tmp_path / "run" / "best").exists() and not epochs(tmp_path / "run")


class TestWhatMoves:
    def test_all_but_the_unused_pooler(self, tiny_bert: Path, tmp_path: Path) -> None:
        recipe = toy(tiny_bert, epochs=1)
        quick(recipe, tmp_path / "run")
        still = set(weights(tmp_path / "run")) - moved(recipe, tmp_path / "run")
        assert still == {"encoder.pooler.dense.weight", "encoder.pooler.dense.bias"}

    def test_only_heads(self, tiny_bert: Path, tmp_path: Path) -> None:
        recipe = toy(tiny_bert, epochs=1, update="heads")
        quick(recipe, tmp_path / "run")
        found = moved(recipe, tmp_path / "run")
        assert len(found) == 6 and all(name.startswith("heads.") for name in found)

    def test_upper_layers_and_heads(self, tiny_bert: Path, tmp_path: Path) -> None:
        recipe = toy(tiny_bert, epochs=1, update=["encoder[1:]", "heads"])
        quick(recipe, tmp_path / "run")
        found = moved(recipe, tmp_path / "run")
        assert {name.split(".")[0] for name in found} == {"encoder", "heads"}
        assert all(name.startswith(("heads.", "encoder.layers.1.")) for name in found)

    def test_only_the_encoder(self, tiny_bert: Path, tmp_path: Path) -> None:
        recipe = toy(tiny_bert, epochs=1, update="encoder")
        result = quick(recipe, tmp_path / "run")
        assert not any(name.startswith("heads.") for name in moved(recipe, tmp_path / "run"))
        assert {task["scored_by"] for task in result["tasks"].values()} == {"nothing", "embedding"}

    def test_only_the_heads_of_the_stage(self, tiny_bert: Path, tmp_path: Path) -> None:
        recipe = toy(tiny_bert, epochs=1, tasks="sentiment")
        quick(recipe, tmp_path / "run")
        heads = {name.split(".")[1] for name in moved(recipe, tmp_path / "run") if name.startswith("heads.")}
        assert heads == {"to_sentiment"}

    def test_each_stage_thaws_its_own(self, tiny_bert: Path, tmp_path: Path) -> None:
        later = {"tasks": ["questions"], "update": "heads", "epochs": 1, "lr": 1e-3}
        recipe = toy(tiny_bert, epochs=1, tasks="sentiment", update="heads", top={"stages.later": later})
        quick(recipe, tmp_path / "run")
        assert {name.split(".")[1] for name in moved(recipe, tmp_path / "run")} == {"to_sentiment", "to_questions"}

    def test_an_unused_parameter_gets_no_gradient(self, tiny_bert: Path) -> None:
        for merge in (Sum(), PCGrad()):
            setup = set_up(toy(tiny_bert, merge=merge, **STEP))
            one_step(setup, keep_gradients=True)
            missing = {name for name, p in setup.model.named_parameters() if p.grad is None}
            assert missing == {"encoder.pooler.dense.weight", "encoder.pooler.dense.bias"}

    @pytest.mark.parametrize(
        ("part", "said"),
        [
            ("encoder[2:]", r"stages\.train\.update: expected a layer below 2, found 'encoder\[2:\]'"),
            ("heads", r"stages\.train\.update: expected something to train for 'similarity'"),
        ],
    )
    def test_where_nothing_could_move_it_is_said(self, tiny_bert: Path, tmp_path: Path, part: str, said: str) -> None:
        recipe = toy(tiny_bert, update=part, top={"tasks.similarity.head": "cosine"})
        with pytest.raises(RecipeError, match=said):
            quick(recipe, tmp_path / "run")


def one_step(setup: Setup, keep_gradients: bool = False, name: str = "train") -> dict[str, float]:
    """The losses of the first step of a stage."""
    stage = setup.recipe.stages[name]
    plan = trainer_module.StagePlan(name, stage, setup.data, setup.recipe.seed)
    shared, heads = trainable(setup, stage, list(plan.tasks))
    every_head = [parameter for parameters in heads.values() for parameter in parameters]
    losses = {task: part.losses for task, part in plan.tasks.items()}
    optimizer = stage.optimizer.build([(stage.lr, [*shared, *every_head])])  # type: ignore[attr-defined]
    if keep_gradients:
        optimizer.zero_grad = lambda set_to_none=True: None
    forward = Live(setup, losses, lambda work: None)
    stepper = Stepper(stage, name, setup.recipe.seed, losses, (shared, heads), optimizer, forward)
    setup.model.train()
    return dict(stepper(0, plan.steps, plan.epoch(0)[0]))


class TestCache:
    def test_encodings_that_are_kept_give_the_weights_that_fresh_ones_would(
        self, tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        heads = {"tasks.questions.head": "difference", "tasks.similarity.head": "concat"}
        recipe = toy(tiny_bert, 40, update="heads", lr=1e-3, losses={"questions": ["bce", "mnr"]}, top=heads)
        work: dict[str, int] = {"kept": 0, "fresh": 0}

        class Counting(Listener):
            def advance(self, work_done: int) -> None:
                work["fresh" if fresh else "kept"] += work_done

        fresh = False
        quick(recipe, tmp_path / "kept", listener=Counting())
        fresh = True
        monkeypatch.setattr(
            trainer_module, "Frozen", lambda setup, losses, plan, kept, advance: Live(setup, losses, advance)
        )
        quick(recipe, tmp_path / "fresh", listener=Counting())
        once = weights(tmp_path / "kept")
        for name, tensor in weights(tmp_path / "fresh").items():
            torch.testing.assert_close(once[name], tensor, rtol=0, atol=1e-6)
        assert work["kept"] < work["fresh"]

    def test_two_stages_with_one_frozen_encoder_share_them(self, tiny_bert: Path, tmp_path: Path) -> None:
        class Counting(Listener):
            def __init__(self) -> None:
                self.work = {"first": 0, "later": 0}
                self.stage = "first"

            def doing(self, what: str) -> None:
                self.stage = "later" if what.startswith("later") else self.stage

            def advance(self, work: int) -> None:
                self.work[self.stage] += work

        stage = {"update": "heads", "epochs": 1, "batch": 16}
        recipe = toy(tiny_bert, top={"stages": {"first": stage, "later": stage}})
        listener = Counting()
        quick(recipe, tmp_path / "run", listener=listener)
        assert 0 < listener.work["later"] < listener.work["first"]


class TestLoss:
    def test_the_losses_of_a_task_are_summed_with_their_weights(self, tiny_bert: Path) -> None:
        still = {"encoder.dropout": 0.0, "tasks.similarity.head": {"kind": "linear", "dropout": 0.0}}

        def loss(*losses: Any, **stage: Any) -> float:
            named = {"similarity": list(losses)}
            return one_step(set_up(toy(tiny_bert, tasks="similarity", losses=named, top=still, **stage)))["similarity"]

        mse, mnr = loss("mse"), loss({"kind": "mnr", "positive": 0})
        both = loss({"kind": "mse", "weight": 3}, {"kind": "mnr", "positive": 0, "weight": 0.5})
        assert both == pytest.approx(3 * mse + 0.5 * mnr, rel=1e-5)
        assert loss("mse", weight={"similarity": 4}) == pytest.approx(4 * mse, rel=1e-6)

    def test_it_falls_until_sixteen_rows_are_known_by_heart(self, tiny_bert: Path, tmp_path: Path) -> None:
        heads = {f"tasks.{task}.head.dropout": 0.0 for task in ("sentiment", "questions", "similarity")}
        kinds = {f"tasks.{task}.head.kind": "linear" for task in ("sentiment", "questions", "similarity")}
        top = {"encoder.dropout": 0.0, **heads, **kinds}
        quick(toy(tiny_bert, epochs=4, samples=160, lr=5e-3, top=top, **STEP), tmp_path / "run")
        lines = epochs(tmp_path / "run")
        for task in ("sentiment", "questions", "similarity"):
            losses = [line["loss"][task] for line in lines]
            assert losses[-1] < 0.2 * losses[0], (task, losses)


class Counted(Loss):
    """The task's own loss; remembers how many rows it was given."""

    kinds = frozenset({"classes"})
    kind: Literal["counted"] = "counted"
    sizes: ClassVar[list[int]] = []

    def __call__(self, outputs: Outputs, targets: Targets) -> Scalar:
        self.sizes.append(len(targets.labels))
        return CrossEntropy()(outputs, targets)


class TestRandomness:
    def test_arms_with_one_seed_share_heads_batches_and_masks(self, tiny_bert: Path) -> None:
        first = one_step(set_up(toy(tiny_bert, **STEP)))
        again = one_step(set_up(toy(tiny_bert, merge="pcgrad", lr=3e-4, schedule="constant", **STEP)))
        assert again == pytest.approx(first, rel=1e-6)
        assert one_step(set_up(toy(tiny_bert, top={"seed": 1}, **STEP))) != first
        assert one_step(set_up(toy(tiny_bert, top={"encoder.dropout": 0.0}, **STEP))) != first

    def test_a_task_is_the_same_with_and_without_others(self, tiny_bert: Path) -> None:
        together = one_step(set_up(toy(tiny_bert, **STEP)))
        for task, loss in together.items():
            assert one_step(set_up(toy(tiny_bert, tasks=task))) == pytest.approx({task: loss}, rel=1e-6)

    def test_masks_differ_from_step_to_step(self, tiny_bert: Path) -> None:
        setup = set_up(toy(tiny_bert, lr=1e-30, tasks="sentiment"))
        stage, rows = setup.recipe.stages["train"], torch.arange(16).numpy()
        shared, heads = trainable(setup, stage, ["sentiment"])
        losses = {"sentiment": (CrossEntropy(),)}
        optimizer = stage.optimizer.build([(stage.lr, shared)])  # type: ignore[attr-defined]
        live = Live(setup, losses, lambda work: None)
        stepper = Stepper(stage, "train", 0, losses, (shared, heads), optimizer, live)
        setup.model.train()
        found = [stepper(number, 9, [Slot("sentiment", rows)])[0][1] for number in (0, 1, 0)]
        assert found[0] == found[2] != found[1]
        one, two = stepper(0, 9, [Slot("sentiment", rows), Slot("sentiment", rows)])
        assert one[1] == pytest.approx(found[0], rel=1e-6) and abs(one[1] - two[1]) > 1e-3

    def test_rows_and_batches_are_counted_by_task(self, tiny_bert: Path, tmp_path: Path) -> None:
        Counted.sizes.clear()
        stage = {"samples": {"sentiment": 20, "questions": 5}, "batch": {"sentiment": 8}}
        recipe = toy(tiny_bert, losses={"sentiment": Counted()}, tasks=["sentiment", "questions"], **stage)
        quick(recipe, tmp_path / "run")
        assert Counted.sizes == [8, 8, 4, 8, 8, 4]


class Halving(Merge):
    """Half the sum."""

    kind: Literal["halving"] = "halving"
    seen: ClassVar[list[int]] = []

    def __call__(
        self, gram: Gram, state: dict[str, Any], rng: torch.Generator, tasks: Sequence[int]
    ) -> tuple[Weights, dict[str, Any]]:
        self.seen.append(len(gram))
        return torch.full((len(gram),), 0.5), {"steps": state.get("steps", 0) + 1}


class Twice(Linear):
    """A linear head under a name of its own."""

    kind: Literal["twice"] = "twice"  # type: ignore[assignment]


def test_a_head_of_ones_own_is_trained_scored_and_kept(tiny_bert: Path, tmp_path: Path) -> None:
    recipe = toy(tiny_bert, epochs=1)
    tasks = {**recipe.tasks, "sentiment": recipe.tasks["sentiment"].model_copy(update={"head": Twice()})}
    result = quick(recipe.model_copy(update={"tasks": tasks}), tmp_path / "run")
    assert result["tasks"]["sentiment"]["scored_by"] == "head"
    assert Run(tmp_path / "run").read("run.json")["methods"] == {"tasks.sentiment.head": f"{__name__}.Twice"}
    with pytest.raises(RunError, match=r"tasks and heads of minbert's own, unknown kind 'twice'.*`take_weights`"):
        load(tmp_path / "run")
    model = set_up(recipe.model_copy(update={"tasks": tasks})).model
    take_weights(model, tmp_path / "run" / "best")
    kept = load_file(tmp_path / "run" / "best" / "heads.safetensors")
    assert all(torch.equal(kept[name], tensor) for name, tensor in model.heads.state_dict().items())


class TestMerge:
    def test_surgery_on_one_task_is_the_plain_sum(self, tiny_bert: Path, tmp_path: Path) -> None:
        # Unclipped: the norm that clips is summed in another order, and on some processors its last bit is another.
        optimizer = {"kind": "adamw", "clip": 0}
        for merge in ("sum", "pcgrad"):
            quick(toy(tiny_bert, tasks="sentiment", merge=merge, epochs=1, optimizer=optimizer), tmp_path / merge)
        plain = weights(tmp_path / "sum")
        assert all(torch.equal(plain[name], tensor) for name, tensor in weights(tmp_path / "pcgrad").items())

    def test_surgery_on_three_tasks_is_not(self, tiny_bert: Path, tmp_path: Path) -> None:
        for merge in ("sum", "pcgrad"):
            quick(toy(tiny_bert, merge=merge, epochs=1, batch=4, **STEP), tmp_path / merge)
        plain = weights(tmp_path / "sum")
        assert not all(torch.equal(plain[name], tensor) for name, tensor in weights(tmp_path / "pcgrad").items())

    def test_one_of_ones_own_is_used_and_recorded(self, tiny_bert: Path, tmp_path: Path) -> None:
        Halving.seen.clear()
        recipe = toy(tiny_bert, epochs=2, batch=8, **STEP)
        quick(recipe, tmp_path / "run", merge=Halving())
        assert Halving.seen == [3] * 4
        record = Run(tmp_path / "run").read("run.json")
        assert record["methods"] == {"stages.train.merge": f"{__name__}.Halving"}
        assert 'kind = "halving"' in (tmp_path / "run" / "recipe.toml").read_text()
        quick(recipe, tmp_path / "other")
        assert Run(tmp_path / "other").read("run.json")["methods"] == {}
        with pytest.raises(RunError, match="another recipe"):
            quick(recipe, tmp_path / "run")

    def test_losses_of_ones_own_are_recorded_too(self, tiny_bert: Path) -> None:
        record = set_up(toy(tiny_bert, losses={"sentiment": [CrossEntropy(), Counted()]})).record()
        assert record["methods"] == {"stages.train.losses.sentiment": f"{__name__}.Counted"}

    def test_one_that_would_change_nothing_is_refused(self, tiny_bert: Path, tmp_path: Path) -> None:
        with pytest.raises(RecipeError, match=r"stages\.train\.merge: expected steps with several tasks for 'halving'"):
            quick(toy(tiny_bert, mixture="sequential"), tmp_path / "run", merge=Halving())
        assert not (tmp_path / "run").exists()


class TestSelect:
    def test_a_share_of_train_chooses_and_dev_is_only_reported(self, tiny_bert: Path, tmp_path: Path) -> None:
        recipe = toy(tiny_bert, rows=0, samples=16, top={"select.on": 0.2})
        setup = set_up(recipe)
        for data in setup.data.values():
            held = {text for column in data.splits["select"].columns for text in column}
            assert len(data.splits["select"]) > 20
            assert not any(text in held for column in data.splits["train"].columns for text in column)
        result = quick(recipe, tmp_path / "run")
        lines = epochs(tmp_path / "run")
        metrics = {name: task["metric"] for name, task in result["tasks"].items()}
        for line in lines:
            assert line["select_score"] == pytest.approx(sum(line["select"][n][m] for n, m in metrics.items()) / 3)
        best = max(lines, key=lambda line: line["select_score"])
        assert result["selected_on"] == 0.2 and result["best"]["epoch"] == best["epoch"]
        assert result["raw"] == pytest.approx(best["raw"])

    def test_weights_choose_which_task_counts(self, tiny_bert: Path, tmp_path: Path) -> None:
        top = {"select.weights": {"questions": 0.0, "similarity": 3.0}, "select.kind": "mean_norm"}
        quick(toy(tiny_bert, top=top), tmp_path / "run")
        for line in epochs(tmp_path / "run"):
            dev = line["dev"]
            expected = (dev["sentiment"]["accuracy"] + 3 * (dev["similarity"]["pearson"] + 1) / 2) / 4
            assert line["select_score"] == pytest.approx(expected)

    def test_a_mean_over_fewer_tasks_does_not_beat_one_over_all(self, tiny_bert: Path, tmp_path: Path) -> None:
        # The first stage has a score of the easiest task alone, and no head for the others.
        stages = {"first": {"tasks": ["questions"], "epochs": 1}, "all": {"epochs": 2, "lr": 1e-30}}
        result = quick(toy(tiny_bert, rows=0, top={"stages": stages}), tmp_path / "run")
        first, *later = epochs(tmp_path / "run")
        assert first["select_tasks"] == ["questions"] and later[0]["select_tasks"] == sorted(result["tasks"])
        assert first["select_score"] > later[0]["select_score"] == later[1]["select_score"]
        assert (result["best"]["stage"], result["best"]["epoch"]) == ("all", 1)
        assert result["raw"] == pytest.approx(later[0]["raw"])

    def test_a_later_stage_of_fewer_tasks_must_be_better_over_all(self, tiny_bert: Path, tmp_path: Path) -> None:
        stages = {"all": {"epochs": 1}, "last": {"tasks": ["questions"], "epochs": 1, "lr": 1e-30}}
        result = quick(toy(tiny_bert, top={"stages": stages}), tmp_path / "run")
        first, last = epochs(tmp_path / "run")
        assert first["select_tasks"] == last["select_tasks"] and first["select_score"] == last["select_score"]
        assert result["best"]["stage"] == "all"

    def test_a_head_without_numbers_learns_by_its_encoder(self, tiny_bert: Path, tmp_path: Path) -> None:
        top, scores = {"tasks.similarity.head": "cosine"}, []
        for update in (["encoder"], ["encoder", "heads"]):
            run = tmp_path / update[-1]
            result = quick(toy(tiny_bert, tasks="similarity", update=update, top=top), run)
            assert result["tasks"]["similarity"]["scored_by"] == "head"
            assert [line["select_tasks"] for line in epochs(run)] == [["similarity"]] * 2
            scores.append([line["select_score"] for line in epochs(run)])
        assert scores[0] == scores[1] and all(scores[0])

    def test_where_no_head_is_trained_embeddings_choose(self, tiny_bert: Path, tmp_path: Path) -> None:
        quick(toy(tiny_bert, tasks="similarity", update="encoder"), tmp_path / "run")
        for line in epochs(tmp_path / "run"):
            scored = (line["dev"]["questions"]["accuracy"], line["dev"]["similarity"]["pearson"])
            assert line["select_tasks"] == [] and line["select_score"] == pytest.approx(sum(scored) / 2)

    def test_best_is_the_first_of_the_best(self, tiny_bert: Path, tmp_path: Path) -> None:
        result = quick(toy(tiny_bert, lr=1e-30, epochs=2), tmp_path / "run")
        scores = [line["select_score"] for line in epochs(tmp_path / "run")]
        assert scores[0] == scores[1] and result["best"]["epoch"] == 1


class TestRowsReadAgain:
    def test_tasks_over_one_file_have_the_rows_that_they_were_trained_with(
        self, tiny_bert: Path, tmp_path: Path
    ) -> None:
        table = toy_table(tiny_bert, epochs=1, samples=16)
        one = {**table["tasks"]["questions"], "dev": 0.3}
        table["tasks"] = {"first": one, "second": dict(one)}
        recipe = check_recipe(table, DEMO)
        held = {name: data.splits["dev"].places for name, data in set_up(recipe).data.items()}
        assert held["first"] == held["second"]
        quick(recipe, tmp_path / "run")
        run = Run(tmp_path / "run")
        assert {name: answered_rows(run, name, None)[0].places for name in held} == held
        record, tasks = run.read("run.json"), read_tasks(run.folder)
        again = dev_rows(tasks, run.read("result.json"), record, None)
        assert {name: rows.places for name, rows in again.items()} == held
        assert {name: data.splits["dev"].places for name, data in read_rows(recipe).tasks.items()} == held


class TestScoredBy:
    def test_where_nothing_is_trained_pairs_are_scored_by_their_embeddings(
        self, tiny_bert: Path, tmp_path: Path
    ) -> None:
        recipe = toy(tiny_bert, top={"stages": {}})
        result = quick(recipe, tmp_path / "run")
        said = {name: task["scored_by"] for name, task in result["tasks"].items()}
        assert said == {"sentiment": "nothing", "questions": "embedding", "similarity": "embedding"}
        assert result["tasks"]["sentiment"]["dev"] == {} and "raw" not in result
        for name in ("questions", "similarity"):
            assert result["tasks"][name]["dev"] == result["tasks"][name]["embedding"] != {}
        before = set_up(recipe).model.state_dict()
        assert all(torch.equal(before[name], tensor) for name, tensor in weights(tmp_path / "run", "best").items())

    def test_a_task_that_no_stage_trains_is_scored_by_its_embeddings(self, tiny_bert: Path, tmp_path: Path) -> None:
        result = quick(toy(tiny_bert, tasks="sentiment"), tmp_path / "run")
        said = {name: task["scored_by"] for name, task in result["tasks"].items()}
        assert said == {"sentiment": "head", "questions": "embedding", "similarity": "embedding"}
        assert result["raw"] == pytest.approx(sum(task["dev"][task["metric"]] for task in result["tasks"].values()) / 3)

    def test_leaked_rows_are_counted_and_left_out_beside(self, tiny_bert: Path, toy_data: Path, tmp_path: Path) -> None:
        train_file, dev_file = toy_data / "sentiment-train.csv", toy_data / "sentiment-dev.csv"
        rows = train_file.read_text().splitlines(keepends=True)
        dev_file.write_text(dev_file.read_text() + "".join(rows[1:4]))
        result = quick(check_recipe(toy_table(tiny_bert, epochs=1), toy_data), tmp_path / "run")
        task = result["tasks"]["sentiment"]
        assert task["dev_leaked_rows"] == 3 and set(task["dev_without_leaks"]) == set(task["dev"])


def test_a_dry_run_times_the_only_step_where_there_is_one(tiny_bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count()
    monkeypatch.setattr(dry_run_module.time, "perf_counter", lambda: float(next(clock)))
    found = dry_run_module.dry_run(set_up(toy(tiny_bert, epochs=1, **STEP)))
    # One second for the step; scoring is not much more.
    assert found["stages"]["train"]["steps"] == 1 and 1 < found["seconds"] < 3


def test_all_faults_of_data_and_encoder_come_at_once(tiny_bert: Path, toy_data: Path, tmp_path: Path) -> None:
    (toy_data / "questions-train.csv").write_text("question1,question2,same\na?,b?,maybe\nc?,,yes\n")
    table = toy_table(tiny_bert)
    table["tasks"]["sentiment"]["train"] = "none.csv"
    table["encoder"]["source"] = "nowhere"
    with pytest.raises(MinbertError) as caught:
        quick(check_recipe(table, toy_data), tmp_path / "run")
    said = str(caught.value)
    assert "none.csv: expected a file" in said and "questions-train.csv:3: expected a text" in said
    assert "encoder 'nowhere': expected a known name" in said and not (tmp_path / "run").exists()
