"""The best recipe of a search can be trained where it stands."""

from pathlib import Path

from tests.conftest import toy_table

from minbert.experiments.best import write_recipe
from minbert.experiments.inputs import Given
from minbert.recipe import check_recipe, load_recipe


def test_what_it_names_is_found_from_its_new_place(tiny_bert: Path, toy_data: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "teacher").mkdir()
    for file in toy_data.glob("*.csv"):
        (tmp_path / "mine" / file.name).write_bytes(file.read_bytes())
    teachers = {"sentiment": "../teacher", "questions": str(tiny_bert)}
    table = toy_table(tiny_bert, losses={task: "distill" for task in teachers}, teachers=teachers)
    best = tmp_path / "runs" / "deep" / "best.toml"
    write_recipe(check_recipe(table, tmp_path / "mine"), best, Given(), "the best")
    found = load_recipe(best)
    teacher = found.stages["train"].teachers["sentiment"]
    assert (best.parent / teacher).resolve() == tmp_path / "teacher"
    assert found.stages["train"].teachers["questions"] == str(tiny_bert)
    assert (best.parent / found.tasks["sentiment"].train[0]).resolve() == tmp_path / "mine" / "sentiment-train.csv"
