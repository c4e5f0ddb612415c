"""`conflicts_every`, `minbert conflicts` and `minbert report`, from outside, on texts that mean harm."""

import csv
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from tests.conftest import demo_rows, toy_table
from tests.flow.test_commands import good, refused

from minbert import train
from minbert.recipe import check_recipe
from minbert.runs import read_lines

HOSTILE = "</td></table></style><script>alert(1)</script><img src=x onerror=alert(2)> \x1b[31m ' \" & \u202e"
VOID = {"meta", "link", "br", "img", "input", "hr"}
TOGETHER: dict[str, Any] = {"mixture": "round_robin", "batches_per_step": 3, "epochs": 1}


class Page(HTMLParser):
    """Reads a page as a browser would begin to: every element must be closed by its own end tag."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(markup)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    @property
    def headings(self) -> list[str]:
        return re.findall(r"<h2>(.*?)</h2>", self.rawdata) or []


def page_of(path: Path) -> Page:
    """The page, after it was found to be small, quiet and self-contained."""
    content = path.read_bytes()
    assert len(content) < 2_000_000
    page = Page(content.decode())
    assert content.startswith(b"<!doctype html>")
    assert not {"script", "img", "link", "iframe", "object", "form", "base"} & set(page.elements)
    assert not [name for name, _ in page.attributes if name.startswith("on") or name in ("src", "srcset", "action")]
    assert all(str(value).startswith("#") for name, value in page.attributes if "href" in name)
    assert ("http-equiv", "Content-Security-Policy") in page.attributes
    assert b"url(" not in content and b"@import" not in content
    anchors = {value for name, value in page.attributes if name == "id"}
    assert {str(value)[1:] for name, value in page.attributes if name == "href"} <= anchors
    assert page.elements.count("svg") == content.count(b"<desc>") == content.count(b'role="img"')
    return page


def headings(path: Path) -> list[str]:
    return re.findall(r"<h2>(.*?)</h2>", path.read_text())


def hostile_data(folder: Path) -> Path:
    """The demo's first rows with every text, column and class turned against the page."""
    folder.mkdir()
    for task in ("sentiment", "questions", "sentences"):
        for split, count in (("train", 48), ("dev", 24)):
            (header, *rows) = demo_rows(f"{task}-{split}", count)
            for number, row in enumerate(rows):
                for place in range(len(row) - 1):
                    row[place] = f"{number} {row[place]} {HOSTILE}"
                if task == "sentiment":
                    row[-1] = f"<b>{row[-1]}"
            with (folder / f"{task}-{split}.csv").open("w", encoding="utf-8", newline="") as file:
                csv.writer(file).writerows([[*(f"<i>{name}" for name in header)], *rows])
    return folder


def toy(encoder: Path, **stage: Any) -> dict[str, Any]:
    made = toy_table(encoder, **TOGETHER, **stage)
    for task in made["tasks"].values():
        task["text"], task["label"] = [f"<i>{name}" for name in task["text"]], f"<i>{task['label']}"
    return {**made, "select": {"on": 0.25}}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path) -> Path:
    """Hostile data, and a finished run on them that has written conflicts down."""
    home = tmp_path_factory.mktemp("page")
    data = hostile_data(home / "data")
    made = toy(tiny_bert)
    made["stages"]["train"] |= {"epochs": 2, "conflicts_every": 1}
    train(check_recipe(made, data), home / "run")
    return home


@pytest.fixture(scope="module")
def page(home: Path) -> Page:
    good("report", home / "run", "-o", home / "page.html")
    return page_of(home / "page.html")


class TestRecording:
    def test_every_nth_step_has_a_line_with_each_layer(self, home: Path) -> None:
        lines = read_lines(home / "run" / "conflicts.jsonl")
        steps = [line["step"] for line in lines]
        assert steps == list(range(1, len(steps) + 1)) and {line["epoch"] for line in lines} == {1, 2}
        several = [line for line in lines if len(line["tasks"]) > 1]
        assert several and all(("cosines" in line) == (line in several) for line in lines)
        for line in several:
            assert list(line["norms"]) == list(line["cosines"]) == ["embeddings", "layer 0", "layer 1", "all"]
            count = len(line["tasks"])
            assert all(len(norms) == count for norms in line["norms"].values())
            assert all(-1.0001 <= cosine <= 1.0001 for found in line["cosines"].values() for cosine in found)
            whole = [sum(line["norms"][g][i] ** 2 for g in list(line["norms"])[:-1]) ** 0.5 for i in range(count)]
            assert line["norms"]["all"] == pytest.approx(whole, rel=1e-4)

    @pytest.mark.parametrize("merge", ["sum", "pcgrad"])
    def test_recording_does_not_change_what_is_learned(self, tiny_bert: Path, tmp_path: Path, merge: str) -> None:
        data = hostile_data(tmp_path / "data")
        for name, every in (("off", 0), ("on", 2)):
            recipe = check_recipe(toy(tiny_bert, merge=merge, conflicts_every=every), data)
            train(recipe, tmp_path / name, with_floors=False)
        for file in ("heads.safetensors", "encoder/model.safetensors"):
            off, on = (load_file(tmp_path / name / "last" / file) for name in ("off", "on"))
            assert off.keys() == on.keys()
            # Where the gradients are kept apart anyway nothing changes; else the same sums are taken in another order.
            atol = 1e-6 if merge == "sum" else 0.0
            assert all(off[key].allclose(on[key], rtol=0, atol=atol) for key in off)
        assert not (tmp_path / "off" / "conflicts.jsonl").exists()
        assert [line["step"] for line in read_lines(tmp_path / "on" / "conflicts.jsonl")][:2] == [1, 3]

    def test_a_run_that_did_not_compare_says_how(self, tiny_bert: Path, tmp_path: Path) -> None:
        recipe = check_recipe(toy(tiny_bert) | {"stages": {}}, hostile_data(tmp_path / "data"))
        train(recipe, tmp_path / "run", with_floors=False)
        assert "found nothing; train with" in refused("conflicts", tmp_path / "run")


class TestConflicts:
    def test_it_prints_pairs_effects_layers(self, home: Path) -> None:
        said = good("conflicts", home / "run")
        for word in ("sentiment - questions", "what a step on the column does", "embeddings", "layer 1", "below 0"):
            assert word in said.text
        assert re.search(r"\d+ steps were written down, \d+% of them with several tasks", said.text)

    def test_json_holds_the_same(self, home: Path) -> None:
        found = json.loads(good("conflicts", home / "run", "--json").output)
        lines = read_lines(home / "run" / "conflicts.jsonl")
        assert {tuple(line["tasks"]) for line in lines} == {("sentiment", "questions", "similarity")}
        (pair,) = [pair for pair in found["pairs"] if pair["tasks"] == ["sentiment", "questions"]]
        cosines = [line["cosines"]["layer 1"][0] for line in lines]
        assert pair["groups"]["layer 1"]["cosine"] == pytest.approx(sum(cosines) / len(cosines))
        assert pair["steps"] == found["steps"] == len(lines) and found["forgetting"] == []

    def test_a_picture_is_written_and_another_suffix_refused(self, home: Path, tmp_path: Path) -> None:
        assert f"wrote {tmp_path}" in good("conflicts", home / "run", "--plot", tmp_path / "x.svg").output
        assert b"<svg" in (tmp_path / "x.svg").read_bytes()
        assert "expected a name that ends in .svg" in refused("conflicts", home / "run", "--plot", tmp_path / "x.jpg")

    def test_what_is_no_run_is_refused(self, tmp_path: Path) -> None:
        assert "expected a run, found none" in refused("conflicts", tmp_path / "none")


class TestPage:
    def test_it_has_every_section(self, home: Path, page: Page) -> None:
        assert headings(home / "page.html") == [
            *("Scores", "Curves", "Train minus dev", "Confusion", "Reliability", "Ratings", "Conflicts"),
            *("Worst errors", "Embedding map", "Recipe", "Environment", "Digests"),
        ]

    def test_hostile_texts_stay_texts(self, page: Page) -> None:
        shown = HOSTILE.replace("\x1b", "�")
        assert page.text.count(shown) > 8 and "<i>sentence" in page.text and "<b>0" in page.text
        assert "b" not in page.elements

    def test_its_numbers_are_those_of_the_run(self, home: Path, page: Page) -> None:
        result = json.loads((home / "run" / "result.json").read_text())
        for task in result["tasks"].values():
            assert f"{task['dev'][task['metric']]:.3f}" in page.text
            assert all(f"{floor:.3f}" in page.text for floor in task["floors"].values())
        assert f"{result['raw']:.3f}" in page.text and result["recipe_sha256"] in page.text
        manifest = json.loads((home / "run" / "best" / "manifest.json").read_text())
        assert all(digest in page.text for digest in manifest.values())

    def test_it_is_the_same_every_time_and_names_no_folder(self, home: Path, page: Page, tmp_path: Path) -> None:
        good("report", home / "run", "-o", tmp_path / "again.html")
        assert (tmp_path / "again.html").read_bytes() == (home / "page.html").read_bytes()
        # The recipe is shown as it is, and names the encoder's folder.
        outside = re.sub(r"<pre.*?</pre>", "", (home / "page.html").read_text(), flags=re.DOTALL)
        assert str(home / "data") not in outside

    def test_by_default_it_stands_in_the_run(self, home: Path) -> None:
        assert "report.html" in good("report", home / "run", "--no-map").output
        text = page_of(home / "run" / "report.html").text
        assert "Embedding map--no-map was given" in text
        (home / "run" / "report.html").unlink()


class TestMissing:
    @pytest.fixture
    def run(self, home: Path, tmp_path: Path) -> Path:
        shutil.copytree(home / "run", tmp_path / "run")
        return tmp_path / "run"

    def shown(self, run: Path, *words: object) -> str:
        good("report", run, "--no-map", *words)
        return page_of(run / "report.html").text

    def test_an_older_run_without_answers_and_conflicts_has_a_page(self, run: Path) -> None:
        (run / "answers.safetensors").unlink()
        (run / "conflicts.jsonl").unlink()
        text = self.shown(run)
        assert "the run kept no answers.safetensors" in text and "set conflicts_every = 10" in text
        assert "Confusion" not in headings(run / "report.html") and "Not on this page" in headings(run / "report.html")

    def test_data_that_are_gone_or_changed_are_told(self, run: Path, tmp_path: Path) -> None:
        record = json.loads((run / "run.json").read_text())
        where = Path(record["files"]["sentiment"]["dev"][0]["path"])
        record["files"]["sentiment"]["dev"][0]["path"] = str(tmp_path / "none.csv")
        (run / "run.json").write_text(json.dumps(record))
        text = self.shown(run)
        assert "none.csv: expected the file that the run read, found none; say where with --data" in text
        assert re.search(r"row \d+ of dev", text)
        assert HOSTILE[:30] in self.shown(run, "--data", where.parent)
        record["files"]["sentiment"]["dev"][0] |= {"path": str(where), "sha256": "0" * 64}
        (run / "run.json").write_text(json.dumps(record))
        assert "found another content" in self.shown(run)

    def test_a_run_that_is_not_finished_is_refused_and_nothing_is_written(self, run: Path) -> None:
        (run / "result.json").unlink()
        assert "the run is not finished: go on with --resume" in refused("report", run)
        assert not (run / "report.html").exists()

    def test_what_is_no_run_is_refused(self, tmp_path: Path) -> None:
        assert "is this a run folder?" in refused("report", tmp_path)
        assert "is this a run folder?" in refused("report", tmp_path / "none") and not (tmp_path / "none").exists()

    def test_phases_bring_the_forgetting_matrix(self, tiny_bert: Path, home: Path, tmp_path: Path) -> None:
        made = toy(tiny_bert)
        made["stages"]["train"] |= {"mixture": "sequential", "batches_per_step": 1}
        train(check_recipe(made, home / "data"), tmp_path / "run", with_floors=False)
        text = self.shown(tmp_path / "run")
        assert "Forgetting" in headings(tmp_path / "run" / "report.html") and "train 1, after sentiment" in text


class TestExperiment:
    @pytest.fixture
    def folder(self, home: Path, tmp_path: Path) -> Path:
        """Two arms, two seeds; one run has not begun, one is not finished."""
        plan = {"name": f"try {HOSTILE}", "seeds": [0, 1]}
        plan["arms"] = {"sum": {}, "pcgrad": {"stages": {"train": {"merge": {"kind": "pcgrad"}}}, "seed": HOSTILE}}
        (tmp_path / "experiment.json").write_text(json.dumps(plan))
        for seed in (0, 1):
            shutil.copytree(home / "run", tmp_path / "sum" / f"seed-{seed}")
        result = json.loads((home / "run" / "result.json").read_text())
        (tmp_path / "sum" / "seed-1" / "result.json").write_text(json.dumps({**result, "raw": result["raw"] + 0.1}))
        shutil.copytree(home / "run", tmp_path / "pcgrad" / "seed-0")
        (tmp_path / "pcgrad" / "seed-0" / "result.json").unlink()
        return tmp_path

    def test_it_has_arms_seeds_and_what_is_missing(self, home: Path, folder: Path) -> None:
        good("report", folder, "-o", folder / "x.html")
        text = page_of(folder / "x.html").text
        assert headings(folder / "x.html") == ["Scores", "Every seed", "Curves", "Arms", "Runs"]
        raw = json.loads((home / "run" / "result.json").read_text())["raw"]
        # The mean of two seeds .1 apart: half the width of the interval is t(.975, 1) * .1 / 2.
        assert f"{raw + 0.05:.3f} ± 0.635" in text and "No difference can be shown" in text
        assert "2 of 4 runs are missing" in text and "not begun" in text and "not finished" in text
        assert 'stages.train.merge = {"kind": "pcgrad"}' in text and "no finished run" in text
        assert text.count("alert(1)") >= 2

    def test_differences_are_those_of_compare(self, home: Path, folder: Path) -> None:
        for place in (folder / "pcgrad" / "seed-0", folder / "sum" / "seed-0"):
            shutil.rmtree(place)
            shutil.copytree(home / "run", place)
        shutil.rmtree(folder / "sum" / "seed-1")
        good("report", folder, "-o", folder / "x.html")
        text = page_of(folder / "x.html").text
        assert "Difference to sum" in text and "+0.000 +0.000 to +0.000" in " ".join(text.split())
        assert "pcgrad against sum: raw +0.000" in " ".join(text.split())

    def test_a_damaged_plan_or_no_run_is_refused(self, folder: Path) -> None:
        shutil.rmtree(folder / "sum")
        assert "expected a finished run, found none of 4" in refused("report", folder)
        (folder / "experiment.json").write_text('{"name": "x", "arms": 3}')
        assert "expected name, arms and seeds" in refused("report", folder)
