"""Runs with adapters: what moves, what the checkpoint holds, who uses it, and that a killed run goes on exactly."""

from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.conftest import toy_table

from minbert import train
from minbert.checkpoint import load_model, save_model, take_weights
from minbert.encoder import fold, low_rank_parameters
from minbert.errors import WeightsError
from minbert.inference import load, load_encoder
from minbert.losses import CrossEntropy
from minbert.model import MultiTaskModel
from minbert.recipe import Recipe, check_recipe
from minbert.runs import Run, read_lines
from minbert.training import Interrupted, Listener
from minbert.training.forward import Frozen
from minbert.training.plan import StagePlan
from minbert.training.setup import set_up
from minbert.training.trainable import moves_vectors, trainable

DEMO = Path(str(resources.files("minbert") / "demo"))
PAL = {"kind": "pal", "width": 8, "heads": 2}
BOTH = [{"kind": "lora", "rank": 2}, PAL]


class Hearing(Listener):
    """Remembers what it hears; stops when it has heard a word so many times."""

    def __init__(self, stop: str = "-", left: int = 1) -> None:
        self.stop, self.left = stop, left
        self.said: list[str] = []

    def doing(self, what: str) -> None:
        self.left -= self.stop in what
        self.said.append(what)
        if not self.left:
            raise Interrupted("stopped")

    def say(self, line: str) -> None:
        self.said.append(line)


def toy(encoder: Path | str, adapters: Any, *, later: dict[str, Any] | None = None, **stage: Any) -> Recipe:
    table = toy_table(encoder, **{"epochs": 1, "batch": 8, **stage})  # type: ignore[arg-type]
    table["encoder"]["adapters"] = adapters
    for task in table["tasks"].values():
        task["limit"] = 16
    if later:
        table["stages"]["later"] = {**table["stages"]["train"], **later}
    return check_recipe(table, DEMO)


def quick(recipe: Recipe, run: Path, **more: Any) -> dict[str, Any]:
    return train(recipe, run, with_floors=False, snapshot_seconds=0.0, **more)


def moved(recipe: Recipe, run: Path) -> set[str]:
    """The names of the tensors that a run has changed; LoRA's changes stand in the weights."""
    model = set_up(recipe).model
    fold(model.encoder)
    before = model.state_dict()
    after = load_model(run / "last").state_dict()
    assert before.keys() == after.keys()
    return {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}


def rooms(names: set[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


class TestWhatMoves:
    def test_lora_and_heads(self, tiny_bert: Path, tmp_path: Path) -> None:
        recipe = toy(tiny_bert, "lora", update=["adapters", "heads"])
        ear = Hearing()
        quick(recipe, tmp_path / "run", listener=ear)
        found = moved(recipe, tmp_path / "run")
        assert {name for name in found if name.startswith("encoder.")} == {
            f"encoder.layers.{i}.attention.projection.weight" for i in range(2)
        }
        assert rooms(found) == {"encoder", "heads"}
        assert not (tmp_path / "run" / "best" / "adapters.safetensors").exists()
        assert any(line.startswith("train trains 2,") and "lora 2,048" in line for line in ear.said), ear.said

    def test_pal_and_heads(self, tiny_bert: Path, tmp_path: Path) -> None:
        recipe = toy(tiny_bert, PAL, update=["adapters", "heads"], tasks=["sentiment", "questions"])
        ear = Hearing()
        quick(recipe, tmp_path / "run", listener=ear)
        found = moved(recipe, tmp_path / "run")
        assert rooms(found) == {"adapters", "heads"} and not any("encoding once" in line for line in ear.said)
        assert {name.split(".")[1] for name in found} == {"to_sentiment", "to_questions"}
        name = "encoder/model.safetensors"
        plain, mine = load_file(tiny_bert / "model.safetensors"), load_file(tmp_path / "run" / "best" / name)
        assert plain.keys() == mine.keys() and all(torch.equal(plain[key], mine[key]) for key in plain)

    def test_layers_that_have_not_joined_yet(self, tiny_bert: Path, tmp_path: Path) -> None:
        # 6 steps, all of them for the upper of two halves: the embeddings would join behind the last.
        recipe = toy(tiny_bert, [], unfreeze=1.0)
        quick(recipe, tmp_path / "run")
        found = {".".join(name.split(".")[1:3]) for name in moved(recipe, tmp_path / "run") if name.startswith("enc")}
        assert found == {"layers.0", "layers.1"}


def test_encodings_that_are_kept_are_those_of_the_task(tiny_bert: Path) -> None:
    """Two tasks over the same texts: with adapters of their own they do not have the same encodings."""
    table = toy_table(tiny_bert, batch=8)
    table["encoder"]["adapters"] = BOTH
    same = {**table["tasks"]["sentiment"], "limit": 16}
    table["tasks"], table["stages"]["heads"] = {"one": same, "other": same}, {"epochs": 1, "update": "heads"}
    setup = set_up(check_recipe(table, DEMO))
    stage = setup.recipe.stages["heads"]
    trainable(setup, stage, ["one", "other"])
    assert not moves_vectors(setup.model)
    with torch.no_grad():
        for parameter in [*low_rank_parameters(setup.model.encoder), *setup.model.adapters.parameters()]:
            parameter.normal_(0, 0.3, generator=torch.Generator().manual_seed(parameter.numel()))
        setup.model.adapter("one").widen.weight.zero_()  # type: ignore[union-attr]
    plan, losses = StagePlan("heads", stage, setup.data, 0), {name: (CrossEntropy(),) for name in setup.data}
    setup.model.eval()
    kept = Frozen(setup, losses, plan, {}, lambda work: None).vectors
    for name in ("one", "other"):
        rows = plan.rows_used()[name]
        with torch.no_grad():
            ((whole, _),) = setup.model.pooled(
                [(name, setup.texts[name, "train"].batch(rows, setup.model.forms(name)))]
            )
        torch.testing.assert_close(kept[name][0][torch.from_numpy(rows)], whole, rtol=0, atol=1e-5)  # type: ignore[index]
    assert (kept["one"][0] - kept["other"][0]).nan_to_num().abs().max() > 0.1  # type: ignore[operator]


def test_a_stopped_run_goes_on_to_the_same_bytes(tiny_bert: Path, tmp_path: Path) -> None:
    stage = {
        "epochs": 2,
        "unfreeze": 0.7,
        "lr_decay": 0.8,
        "adapter_lr": 3e-3,
        "update": ["encoder", "adapters", "heads"],
    }
    recipe = toy(tiny_bert, BOTH, mixture="round_robin", batches_per_step=3, merge="pcgrad", **stage)
    quick(recipe, tmp_path / "whole")
    for word, times in (("train 1/2", 2), ("train 2/2", 2)):
        with pytest.raises(Interrupted):
            resume = (tmp_path / "stopped").exists()
            quick(recipe, tmp_path / "stopped", listener=Hearing(word, times), resume=resume)
    snapshot = load_file(tmp_path / "stopped" / "snapshot" / "model.safetensors")
    assert any("lora_b" in name and tensor.any() for name, tensor in snapshot.items())
    quick(recipe, tmp_path / "stopped", resume=True)
    for name in ("encoder/model.safetensors", "heads.safetensors", "adapters.safetensors", "model.json"):
        for which in ("best", "last"):
            whole, other = (tmp_path / run / which / name for run in ("whole", "stopped"))
            assert whole.read_bytes() == other.read_bytes(), name
    assert (tmp_path / "whole" / "result.json").read_bytes() == (tmp_path / "stopped" / "result.json").read_bytes()


@pytest.fixture(scope="module")
def both(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with LoRA and PAL."""
    run = tmp_path_factory.mktemp("adapters") / "run"
    recipe = toy(tiny_bert, BOTH, epochs=2, lr=1e-2)
    train(recipe, run, with_floors=False)
    return run


def test_what_an_epoch_scores_is_what_its_checkpoint_scores(tiny_bert: Path, tmp_path: Path) -> None:
    recipe = toy(tiny_bert, BOTH, lr=1e-2).model_copy(update={"precision": "bfloat16"})
    result = quick(recipe, tmp_path / "run")
    (line,) = read_lines(tmp_path / "run" / "metrics.jsonl")
    assert {task: found["dev"] for task, found in result["tasks"].items()} == line["dev"]


class TestCheckpoint:
    def test_weights_are_taken_with_adapters_or_not_at_all(self, both: Path) -> None:
        opened = load(both, precision="float32").model
        bare = MultiTaskModel(opened.encoder, opened.tokenizer, opened.tasks, opened.pooling)
        with pytest.raises(WeightsError, match="expected 'pal' as in"):
            take_weights(bare, both / "best")

    def test_predictions_are_those_that_were_scored(self, both: Path) -> None:
        recipe = Recipe.load(both / "recipe.toml")
        setup = set_up(recipe.model_copy(update={"folder": DEMO}))
        rows = setup.data["questions"].splits["dev"]
        pairs = list(zip(*rows.columns, strict=True))
        answers = load_file(both / "answers.safetensors")
        (scores,) = (t for name, t in answers.items() if "questions" in name and "dev" in name and "scores" in name)
        said = load(both, precision="float32").predict("questions", pairs)
        np.testing.assert_allclose(said.probabilities[:, 1], torch.sigmoid(scores[:, 0]).numpy(), atol=1e-6)

    def test_the_tasks_adapter_is_used_and_embeddings_are_without(self, both: Path) -> None:
        predictor, texts = load(both, precision="float32"), ["a good film", "the food was bad"]
        embedded = predictor.embed(texts, precision="float32")
        np.testing.assert_array_equal(embedded, load_encoder(both).embed(texts, precision="float32"))
        before = predictor.predict("sentiment", texts).probabilities
        with torch.no_grad():
            for parameter in predictor.model.adapters.parameters():
                parameter.zero_()
        assert np.abs(predictor.predict("sentiment", texts).probabilities - before).max() > 1e-4
        np.testing.assert_array_equal(predictor.embed(texts, precision="float32"), embedded)

    def test_the_encoder_is_a_plain_one_and_another_run_can_begin_with_it(self, both: Path, tmp_path: Path) -> None:
        recipe = toy(str(both), PAL, update=["adapters", "heads"])
        quick(recipe, tmp_path / "run")
        assert rooms(moved(recipe, tmp_path / "run")) == {"adapters", "heads"}
        encoders = [load_file(run / "best" / "encoder" / "model.safetensors") for run in (both, tmp_path / "run")]
        assert all(torch.equal(encoders[0][name], encoders[1][name]) for name in encoders[0])

    def test_a_run_goes_on_with_its_adapters(self, both: Path, tmp_path: Path) -> None:
        old = load_model(both / "best").state_dict()
        # The next stage is of the task on questions alone: what belongs to the others is as it was.
        stages = {
            "more": {"tasks": ["questions"], "update": ["adapters", "heads"], "epochs": 1, "batch": 8, "lr": 1e-2}
        }
        recipe = Recipe.model_validate({"tasks": Recipe.load(both / "recipe.toml").tasks, "stages": stages})
        train(recipe.model_copy(update={"folder": DEMO}), tmp_path / "run", start=both, with_floors=False)
        now = load_model(tmp_path / "run" / "best").state_dict()
        same = {name for name, tensor in now.items() if torch.equal(tensor, old[name])}
        assert {name for name in now if "to_sentiment" in name} <= same
        assert not {name for name in now if "adapters.to_questions" in name and "bias" not in name} & same

    def test_a_run_does_not_go_on_without_them(self, both: Path, tmp_path: Path) -> None:
        said = {"tasks": Recipe.load(both / "recipe.toml").tasks, "encoder": {"adapters": []}}
        recipe = Recipe.model_validate(said).model_copy(update={"folder": DEMO})
        with pytest.raises(
            WeightsError, match=r"encoder\.adapters: expected 'pal' as in .*, whose heads were trained with"
        ):
            train(recipe, tmp_path / "run", start=both, with_floors=False)

    def test_adapters_that_do_not_fit_are_named(self, both: Path, tmp_path: Path) -> None:
        model = load_model(both / "best")
        stranger = toy(str(both), {"kind": "pal", "width": 4, "heads": 2})
        other = set_up(stranger).model
        model.adapters = other.adapters
        Run(tmp_path).checkpoint("best", lambda folder: save_model(folder, model))
        with pytest.raises(WeightsError, match=r"adapters\.safetensors: the adapters do not fit the tasks"):
            load_model(tmp_path / "best")
