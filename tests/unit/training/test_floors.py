"""What a score must beat."""

from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.dummy import DummyClassifier
from tests.conftest import toy_table

from minbert.recipe import check_recipe
from minbert.tasks import Classes, Rating, Split, Task, YesNo
from minbert.training.evaluator import by_embedding
from minbert.training.floors import features, floors, floors_work, frozen, trivial
from minbert.training.setup import Setup, set_up

DEMO = Path(str(resources.files("minbert") / "demo"))
FILES: dict[str, Any] = {"label": "y", "train": "x.csv"}
TOPIC = Classes(text=("a",), labels=("0", "1", "2"), **FILES)
SAME = YesNo(text=("a", "b"), **FILES)
NEAR = Rating(text=("a", "b"), range=(0.0, 5.0), **FILES)


def split(labels: list[Any]) -> Split:
    return Split((tuple(map(str, labels)),), torch.tensor(labels), tuple(map(str, labels)))


class TestTrivial:
    @pytest.mark.parametrize("task", [TOPIC, SAME])
    def test_it_is_the_most_frequent_class_of_train(self, task: Task) -> None:
        train, dev = torch.tensor([0, 1, 1]), torch.tensor([1, 0, 0, 0, 1])
        guess = DummyClassifier(strategy="most_frequent").fit(train[:, None], train)
        assert trivial(task, train, dev) == guess.score(dev[:, None], dev) == 0.4

    def test_it_is_measured_by_the_metric_that_counts(self) -> None:
        task = TOPIC.model_copy(update={"metric": "macro_f1"})
        assert trivial(task, torch.tensor([2, 2, 0]), torch.tensor([2, 0])) == pytest.approx((2 / 3 + 0) / 2)

    def test_a_constant_has_no_correlation(self) -> None:
        assert trivial(NEAR, torch.tensor([1.0, 4.0]), torch.tensor([2.0, 3.0])) == 0.0


class TestFeatures:
    def test_one_text_is_its_embedding(self) -> None:
        column = torch.rand(4, 3)
        assert np.array_equal(features([column]), column.numpy())

    def test_a_pair_is_distance_product_and_cosine(self) -> None:
        left, right = torch.tensor([[0.6, 0.8]]), torch.tensor([[1.0, 0.0]])
        np.testing.assert_allclose(features([left, right]), [[0.4, 0.8, 0.6, 0.0, 0.6]], rtol=1e-6)
        assert np.array_equal(features([left, right]), features([right, left]))


class TestFrozen:
    X = np.eye(3)[[0, 1, 2, 0, 1, 2]]

    def test_what_can_be_learned_is_learned(self) -> None:
        labels = split([2, 0, 1, 2, 0, 1])
        assert frozen(TOPIC, self.X, labels, self.X, labels) == 1.0
        ratings = split([0.0, 2.5, 5.0, 0.0, 2.5, 5.0])
        assert frozen(NEAR, self.X, ratings, self.X, ratings) == pytest.approx(1.0)

    def test_one_class_in_train_is_the_trivial_answer(self) -> None:
        assert frozen(SAME, self.X, split([1] * 6), self.X, split([1, 1, 0, 0, 0, 0])) == pytest.approx(1 / 3)


class TestFloors:
    @pytest.fixture(scope="class")
    @classmethod
    def setup(cls, tiny_bert: Path) -> Setup:
        return set_up(check_recipe(toy_table(tiny_bert), DEMO))

    def test_every_task_has_its_own(self, setup: Setup) -> None:
        work: list[int] = []
        before = {name: tensor.clone() for name, tensor in setup.model.state_dict().items()}
        found = floors(setup, work.append)
        assert {name: set(floor) for name, floor in found.items()} == {
            "sentiment": {"trivial", "frozen"},
            "questions": {"trivial", "frozen", "untouched"},
            "similarity": {"trivial", "frozen", "untouched"},
        }
        assert all(-1 <= value <= 1 for floor in found.values() for value in floor.values())
        alone = by_embedding(setup, "similarity", setup.data["similarity"].splits["dev"], work.append)
        assert alone is not None and found["similarity"]["untouched"] == alone.metrics()["pearson"]
        assert sum(work) <= floors_work(setup) <= 2.5 * sum(work)
        assert sum(work) > 0 and floors(setup, work.append) == found
        assert all(torch.equal(before[name], tensor) for name, tensor in setup.model.state_dict().items())
