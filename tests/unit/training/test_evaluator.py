"""Scores by head and by embedding, thresholds and means."""

from importlib import resources
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import toy_table

from minbert.errors import TrainingError
from minbert.metrics import METRICS
from minbert.recipe import check_recipe
from minbert.tasks import Classes, Rating, Task, YesNo
from minbert.training.evaluator import (
    Scored,
    best_threshold,
    by_cosine,
    by_embedding,
    by_head,
    embed_columns,
    evaluate,
    means,
    metrics,
    sample,
)
from minbert.training.setup import Setup, set_up

DEMO = Path(str(resources.files("minbert") / "demo"))
FILES: dict[str, Any] = {"label": "y", "train": "x.csv"}
TASKS: dict[str, Task] = {
    "topic": Classes(text=("a",), labels=("0", "1"), **FILES),
    "same": YesNo(text=("a", "b"), **FILES),
    "near": Rating(text=("a", "b"), range=(0.0, 5.0), **FILES),
}
COSINES = st.lists(st.tuples(st.integers(-8, 8), st.booleans()), min_size=1, max_size=14)


def silent(work: int) -> None:
    pass


@pytest.fixture(scope="module")
def setup(tiny_bert: Path) -> Setup:
    return set_up(check_recipe(toy_table(tiny_bert), DEMO))


class TestThreshold:
    @given(COSINES)
    def test_none_is_better(self, rows: list[tuple[int, bool]]) -> None:
        cosines = np.array([cosine / 8 for cosine, _ in rows])
        labels = np.array([int(label) for _, label in rows])

        def right(threshold: float) -> int:
            return int(((cosines > threshold) == labels).sum())

        tried = [-2.0, 2.0, *(cosine + edge for cosine in cosines for edge in (-0.01, 0.01))]
        assert right(best_threshold(cosines, labels)) == max(map(right, tried))

    def test_it_stands_between_two_neighbours(self) -> None:
        assert best_threshold(np.array([0.8, 0.1, 0.4, 0.9]), np.array([1, 0, 0, 1])) == pytest.approx(0.6)

    @pytest.mark.parametrize(("label", "side"), [(0, 1), (1, -1)])
    def test_it_stands_beyond_the_ends_where_all_are_alike(self, label: int, side: int) -> None:
        found = best_threshold(np.array([0.2, 0.5]), np.array([label, label]))
        assert side * found > 0.5


class TestMeans:
    SCORES: ClassVar = {"topic": {"accuracy": 0.6}, "same": {"accuracy": 0.9, "f1": 0.1}, "near": {"pearson": -0.2}}

    def test_raw_and_norm(self) -> None:
        found = means(TASKS, self.SCORES)
        assert found == {"raw": pytest.approx((0.6 + 0.9 - 0.2) / 3), "norm": pytest.approx((0.6 + 0.9 + 0.4) / 3)}

    @pytest.mark.parametrize("missing", TASKS)
    def test_there_are_none_unless_all_tasks_have_a_score(self, missing: str) -> None:
        assert means(TASKS, {name: score for name, score in self.SCORES.items() if name != missing}) == {}

    def test_the_metric_that_counts_is_the_recipes(self) -> None:
        task = YesNo(text=("a", "b"), metric="f1", **FILES)
        assert means({"same": task}, {"same": {"accuracy": 0.9, "f1": 0.1}}) == {"raw": 0.1, "norm": 0.1}


class TestScored:
    def test_rows_can_be_left_out(self) -> None:
        scored = Scored(TASKS["same"], torch.tensor([1, 0, 1, 0]), torch.tensor([[2.0], [3.0], [1.0], [-1.0]]))
        assert scored.metrics()["accuracy"] == 0.75
        assert scored.metrics(np.array([True, False, True, True]))["accuracy"] == 1.0


class TestSample:
    def test_it_is_drawn_once_a_run(self, setup: Setup) -> None:
        one, texts = sample(setup, "questions", "train", 50)
        two, _ = sample(setup, "questions", "train", 50)
        whole = setup.data["questions"].splits["train"]
        assert one.columns == two.columns and len(one) == len(texts) == 50
        assert set(one.places) < set(whole.places) and sample(setup, "questions", "dev", 50)[0].places != one.places

    def test_a_split_that_is_smaller_comes_whole(self, setup: Setup) -> None:
        rows, texts = sample(setup, "questions", "dev", 10_000)
        assert rows is setup.data["questions"].splits["dev"] and texts is setup.texts["questions", "dev"]


class TestScores:
    def test_a_pair_is_scored_by_its_cosine(self, setup: Setup) -> None:
        rows = setup.data["similarity"].splits["dev"]
        left, right = embed_columns(setup, rows, silent)
        torch.testing.assert_close(left.norm(dim=1), torch.ones(len(rows)))
        scored = by_embedding(setup, "similarity", rows, silent)
        assert scored is not None
        expected = METRICS["pearson"](rows.labels.numpy(), (left * right).sum(1).clamp(0, 1).numpy())
        assert scored.metrics()["pearson"] == pytest.approx(expected, abs=1e-6)

    def test_yes_and_no_are_told_by_a_threshold_from_train(self, setup: Setup) -> None:
        rows = setup.data["questions"].splits["dev"]
        scored = by_embedding(setup, "questions", rows, silent)
        train = setup.data["questions"].splits["train"]
        left, right = embed_columns(setup, train, silent)
        threshold = best_threshold((left * right).sum(1).numpy(), train.labels.numpy())
        cosines = torch.stack(embed_columns(setup, rows, silent)).prod(0).sum(1)
        assert scored is not None
        torch.testing.assert_close(scored.scores[:, 0], cosines - threshold)

    def test_a_cosine_says_nothing_of_a_single_text(self, setup: Setup) -> None:
        rows = setup.data["sentiment"].splits["dev"]
        assert by_embedding(setup, "sentiment", rows, silent) is None
        assert by_cosine(setup, "sentiment", rows, embed_columns(setup, rows, silent), silent) is None

    def test_tasks_with_a_trained_head_are_scored_by_it(self, setup: Setup) -> None:
        assert set(evaluate(setup, "dev", set(), silent)) == {"questions", "similarity"}
        found = evaluate(setup, "dev", {"sentiment", "similarity"}, silent)
        rows, texts = setup.data["similarity"].splits["dev"], setup.texts["similarity", "dev"]
        assert metrics(found)["similarity"] == by_head(setup, "similarity", rows, texts, silent).metrics()
        assert metrics(found)["similarity"] != metrics(evaluate(setup, "dev", set(), silent))["similarity"]

    def test_the_work_is_told(self, setup: Setup) -> None:
        work: list[int] = []
        evaluate(setup, "dev", {"sentiment"}, work.append, most=10)
        few = sum(work)
        evaluate(setup, "dev", {"sentiment"}, work.append)
        assert 0 < few < sum(work) - few

    @pytest.mark.parametrize("value", [torch.nan, torch.inf])
    def test_scores_that_are_no_numbers_are_told(self, tiny_bert: Path, value: float) -> None:
        broken = set_up(check_recipe(toy_table(tiny_bert), DEMO))
        broken.model.encoder.layers[1].norm.bias.data[0] = value
        for heads in ({"sentiment"}, set()):
            with pytest.raises(TrainingError, match=r"task '\w+': the scores are not finite"):
                evaluate(broken, "dev", heads, silent)
