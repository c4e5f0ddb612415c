"""MPNet goes the way of a BERT: trained, killed and resumed to the same bytes, with surgery, in parts, and used."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer
from tests.conftest import toy_table

from minbert import load, train
from minbert.encoder import Mpnet
from minbert.recipe import Recipe, check_recipe
from minbert.training.setup import Setup, set_up
from minbert.training.step import Stepper

TABLE = "encoder.relative_attention_bias.weight"


@pytest.fixture
def recipe(tiny_mpnet: Path, toy_data: Path) -> Recipe:
    # Every task in each step, and both forms of a pair: joined for the head, apart for the ranking loss.
    stage = {"merge": "pcgrad", "mixture": "round_robin", "batches_per_step": 3, "conflicts_every": 2}
    table = toy_table(tiny_mpnet, epochs=1, **stage, losses={"questions": ["bce", "mnr"]})
    return check_recipe(table, toy_data)


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "last" / "encoder" / "model.safetensors")


def test_a_run_that_was_killed_ends_in_the_same_bytes(
    recipe: Recipe, tiny_mpnet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(recipe, tmp_path / "whole", with_floors=False)
    step = Stepper.__call__

    def killed(self: Stepper, number: int, *given: Any) -> Any:
        if number == 2:
            raise KeyboardInterrupt
        return step(self, number, *given)

    monkeypatch.setattr(Stepper, "__call__", killed)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, tmp_path / "again", with_floors=False, snapshot_seconds=0.0)
    monkeypatch.setattr(Stepper, "__call__", step)
    train(recipe, tmp_path / "again", with_floors=False, resume=True)
    files = ("encoder/model.safetensors", "heads.safetensors")
    pairs = [[(tmp_path / run / "last" / file).read_bytes() for run in ("whole", "again")] for file in files]
    assert all(one == other for one, other in pairs)
    before, after = load_file(tiny_mpnet / "model.safetensors"), weights(tmp_path / "whole")
    assert before.keys() == after.keys() and not torch.equal(before[TABLE], after[TABLE])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_run_predicts_and_opens_elsewhere(recipe: Recipe, tmp_path: Path) -> None:
    train(recipe, tmp_path / "run", with_floors=False)
    model = load(tmp_path / "run")
    assert isinstance(model.model.encoder, Mpnet)
    assert model.predict("questions", [("what is it", "is it good"), ("a", "b")]).probabilities.shape == (2, 2)
    texts = ["a good film", "what is it?", "the bad food of the film"]
    other = SentenceTransformer(str(tmp_path / "run" / "best" / "encoder"), device="cpu")
    wanted = other.encode(texts, show_progress_bar=False)
    np.testing.assert_allclose(model.embed(texts, precision="float32"), wanted, rtol=0, atol=1e-5)
    # A run is the encoder of another recipe.
    table = {"encoder": {"source": str(tmp_path / "run"), "max_tokens": 48}}
    setup = set_up(check_recipe(recipe.model_dump(exclude={"folder"}) | table, recipe.folder))
    assert isinstance(setup.model.encoder, Mpnet)


def gradients(setup: Setup, together: bool) -> dict[str, torch.Tensor]:
    """The gradients of two batches, from one pass or two, with dropout."""
    model = setup.model.train()
    batches = []
    for task in ("sentiment", "questions"):
        texts = setup.texts[task, "train"]
        batches.append((task, texts.batch(np.arange(12), model.forms(task))))
    work = [batches] if together else [[one] for one in batches]
    seeds = [[3, 4]] if together else [[3], [4]]
    for some, mine in zip(work, seeds, strict=True):
        weight = torch.randn(12, 32, generator=torch.Generator().manual_seed(0))
        torch.stack([(whole * weight).sum() for whole, _ in model.pooled(some, mine)]).sum().backward()
    found = {name: p.grad.to_dense() for name, p in model.encoder.named_parameters() if p.grad is not None}
    model.zero_grad()
    return found


def test_batches_in_one_pass_get_what_each_gets_alone(recipe: Recipe) -> None:
    setup = set_up(recipe)
    together, alone = gradients(setup, True), gradients(setup, False)
    assert "embeddings.relative.weight" in together and together.keys() == alone.keys()
    for name, wanted in alone.items():
        torch.testing.assert_close(together[name], wanted, rtol=1e-4, atol=1e-4)
    setup.model.encoder.precision = torch.bfloat16
    low = gradients(setup, True)["embeddings.relative.weight"]
    exact = alone["embeddings.relative.weight"]
    assert low.dtype == torch.float32 and (low - exact).norm() < 0.05 * exact.norm()
