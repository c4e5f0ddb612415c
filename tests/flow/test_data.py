"""`minbert data check` from outside: what it finds, prints, writes, and its exit status."""

import csv
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.flow.test_commands import Said, good, refused

from minbert.audit import KINDS, Reading, check, read_rows
from minbert.recipe import load_recipe
from minbert.tasks import Split
from minbert.text.readers import read

CLEAN = {
    "questions": ("question1", "question2", "same"),
    "topics": ("text", "topic"),
}
QUESTIONS_TRAIN = [
    ("how do i boil an egg", "what is the way to boil eggs", "1"),
    ("what is the way to boil eggs", "how are eggs boiled", "1"),
    ("why is the sky blue", "what makes the sky blue", "1"),
    ("what makes the sky blue", "why is the sky blue?", "1"),  # the same once more
    ("is a tomato a fruit", "are tomatoes fruit", "1"),
    ("are tomatoes fruit", "is a tomato a fruit", "0"),  # disagrees
    ("where can i learn to dance the tango in the city", "which places teach tango", "0"),
    ("how old is the moon", "how far away is the moon", "0"),
    ("how tall is a giraffe", "how long is a giraffe's neck", "0"),
    ("what do owls eat", "maybe", "maybe"),  # broken: no label
    ("half a row",),  # broken
    ("who wrote hamlet", "which play is the longest", "0"),
]
QUESTIONS_DEV = [
    ("how are eggs boiled", "how do i boil an egg", "1"),  # follows
    ("How far away is the moon?", "How old is the moon?", "0"),  # stands there
    ("where can i learn to dance the tango in this city", "which places teach tango", "0"),  # nearly
    ("how do i mend a bicycle", "where is the sea", "0"),
    ("what is a sonnet", "how do bees fly", "0"),
    ("what is rust", "what is a rusty nail", "0"),
]
QUESTIONS_TEST = [("how do bees fly", "what is a sonnet", "0"), ("is snow cold", "how cold is snow", "1")]
TOPICS_TRAIN = [(f"a text about {word}", topic) for word, topic in zip("abcdef", "xyxyxy", strict=True)]
TOPICS_DEV = [("quite another text", "x"), ("one more text of its own", "y")]
AGAIN_TRAIN = [("where is the sea", "how do i mend a bicycle", "0"), ("what is up", "what is down", "1")]


def write(path: Path, header: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])


@pytest.fixture
def home(tmp_path: Path, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a recipe whose data have one fault of every kind."""
    questions, topics = CLEAN.values()
    write(tmp_path / "train.csv", questions, QUESTIONS_TRAIN)
    write(tmp_path / "dev.csv", questions, QUESTIONS_DEV)
    write(tmp_path / "test.csv", questions, QUESTIONS_TEST)
    write(tmp_path / "again.csv", questions, AGAIN_TRAIN)
    write(tmp_path / "topics.csv", topics, TOPICS_TRAIN)
    write(tmp_path / "topics-dev.csv", topics, TOPICS_DEV)
    pair = 'kind = "yes_no"\ntext = ["question1", "question2"]\nlabel = "same"\n'
    (tmp_path / "mine.toml").write_text(f"""
[tasks.questions]
{pair}train = "train.csv"
dev = "dev.csv"
test = "test.csv"
[tasks.again]
{pair}train = "again.csv"
dev = "again.csv"
[tasks.topics]
kind = "classes"
text = "text"
label = "topic"
train = "topics.csv"
dev = "topics-dev.csv"
[encoder]
source = "{tiny_bert}"
max_tokens = 48
[stages.train]
epochs = 1
""")
    monkeypatch.chdir(tmp_path)
    return tmp_path


FOUND = {"broken": 2, "disagreement": 1, "exact": 3, "near": 1, "transitive": 2, "across": 1, "dev-test": 1}


def test_it_finds_one_of_every_kind_and_fails(home: Path) -> None:
    said = Said("data", "check", "mine.toml")
    assert said.status == 1
    assert said.output.splitlines()[-2] == "found: " + ", ".join(f"{kind} {count}" for kind, count in FOUND.items())
    assert said.output.splitlines()[-1].startswith("next: minbert data check mine.toml --fix DIR")
    assert FOUND.keys() == KINDS.keys()
    for line in (
        "train.csv:11: expected a yes or no",
        "train.csv:12: expected 3 columns, found 1",
        "train.csv:6: labels yes, no: train.csv:7",
        "dev.csv:3: word for word: train.csv:9",
        "dev.csv:4: nearly equal: train.csv:8",
        "dev.csv:2: follows from 2 yes-pairs: train.csv:3, train.csv:2",
        "dev.csv:5: letter for letter: again.csv:2",
        "test.csv:2: letter for letter: dev.csv:6",
    ):
        assert f"\n  {line}" in said.output, line
    assert all(len(line) <= 80 for line in said.output.split("twice: ")[0].splitlines())


def test_the_json_names_every_row(home: Path) -> None:
    said = Said("data", "check", "mine.toml", "--json")
    found = json.loads(said.output)
    assert said.status == 1 and found["counts"] == FOUND and len(found["findings"]) == sum(FOUND.values())
    assert all(re.search(r"\.csv:\d+$", place) for f in found["findings"] for place in (f["place"], *f["others"]))
    train = found["tasks"]["questions"]["splits"]["train"]
    assert {key: train[key] for key in ("rows", "broken", "duplicates", "disagreements", "classes")} == {
        "rows": 10,
        "broken": 2,
        "duplicates": 2,
        "disagreements": 1,
        "classes": {"no": 5, "yes": 5},
    }
    assert train["tokens"]["max"] > 48 and 0 < train["tokens"]["cut"] < 10
    assert found["tasks"]["topics"]["floors"] == {"trivial": 0.5}
    shared = {(leak["task"], leak["split"], leak["from_task"]): leak["shared"] for leak in found["leaks"]}
    assert shared["questions", "dev", "questions"] == 3 and shared["questions", "dev", "again"] == 1


def test_what_is_allowed_does_not_fail(home: Path) -> None:
    words = [word for kind in FOUND for word in ("--allow", kind)]
    said = good("data", "check", "mine.toml", *words)
    assert "exact 3 (allowed)" in said.output and "next:" not in said.output
    assert Said("data", "check", "mine.toml", *words[:-2]).status == 1
    assert Said("data", "check", "mine.toml", *words[:-2], "--json").status == 1
    assert good("data", "check", "demo").output.splitlines()[-1] == "found: nothing amiss"


def test_the_fixed_copy_has_none_of_it_and_trains(home: Path) -> None:
    before = {path.name: path.read_bytes() for path in home.glob("*.csv")}
    said = good("data", "check", "mine.toml", "--fix", "fixed", "--set", "tasks.again.dev='dev.csv'")
    assert f"next: minbert train {Path('fixed') / 'recipe.toml'}" in said.output
    assert before == {path.name: path.read_bytes() for path in home.glob("*.csv")}
    again = Said("data", "check", "fixed/recipe.toml", "--json")
    assert json.loads(again.output)["counts"] == {"dev-test": 1}
    kept = (home / "fixed/questions/train.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in kept] == [
        "question1",
        "how do i boil an egg",
        "why is the sky blue",
        "how tall is a giraffe",
        "who wrote hamlet",
    ]
    dropped = [json.loads(line) for line in (home / "fixed/dropped.jsonl").read_text().splitlines()]
    reasons = {row["reason"] for row in dropped if row["task"] == "questions"}
    assert reasons == {"broken", "exact", "near", "disagreement", "duplicate", "transitive"}
    note = (home / "fixed/NOTE.md").read_text()
    assert all(f"- {reason}, " in note for reason in reasons) and "## topics" in note
    good("train", "fixed/recipe.toml", "--dry-run")


def test_a_share_becomes_a_file_and_a_share_for_select_stays_a_share(home: Path) -> None:
    rows = [(f"what is the meaning of {word}", f"what does {word} mean", str(i % 2)) for i, word in enumerate(WORDS)]
    write(home / "again.csv", CLEAN["questions"], [*rows, *rows[:3]])
    sets = ["--set", "tasks.again.dev=0.25", "--set", "select.on=0.25"]
    sets += ["--set", "tasks.questions.train='again.csv'", "--set", "tasks.questions.dev=0.4", "--near", "0"]
    first = json.loads(Said("data", "check", "mine.toml", "--json", *sets).output)
    assert first["counts"]["across"] > 0
    good("data", "check", "mine.toml", "--fix", "fixed", *sets)
    found = json.loads(Said("data", "check", "fixed/recipe.toml", "--json", "--near", "0").output)
    assert not found["counts"].keys() & KINDS.keys()
    sizes = [found["tasks"]["again"]["splits"][split]["rows"] for split in ("train", "select", "dev")]
    assert sizes[2] == first["tasks"]["again"]["splits"]["dev"]["rows"] and min(sizes) > 0
    held = (home / "fixed/again/dev-again.csv").read_text().splitlines()
    assert len(held) == sizes[2] + 1 and held[0] == "question1,question2,same"


WORDS = """
apple bear cloud dust echo fern gale heron ink jade kelp lime moss newt opal pine quill rose silt tern
""".split()  # noqa: SIM905


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("no-such",), "expected a file or a name in the package"),
        (("mine.toml", "--allow", "exakt"), "did you mean 'exact'?"),
        (("mine.toml", "--near", "0.3"), "expected 0 (off) or 0.6 to 1"),
        (("mine.toml", "--data", "nowhere"), "expected a file in nowhere"),
        (("mine.toml", "--set", "tasks.topics.label='topik'"), "did you mean 'topic'?"),
        (("mine.toml", "--fix", "."), "expected a new or an empty folder"),
        (("mine.toml", "--set", "encoder.source='minilmm'"), "minilmm"),
    ],
)
def test_what_cannot_be_used_is_told(home: Path, words: tuple[str, ...], expected: str) -> None:
    assert expected in refused("data", "check", *words)
    assert sorted(path.name for path in home.iterdir() if path.is_dir()) == []


def test_floors_of_the_encoder_only_if_asked(home: Path) -> None:
    said = Said("data", "check", "mine.toml", "--floors", "--json")
    floors = json.loads(said.output)["tasks"]["questions"]["floors"]
    assert floors.keys() == {"trivial", "frozen", "untouched"}


def test_the_dry_run_begins_with_it(home: Path) -> None:
    rows = [row for row in QUESTIONS_TRAIN if len(row) == 3 and row[2] in "01"]
    write(home / "train.csv", CLEAN["questions"], rows)
    said = good("train", "mine.toml", "--dry-run")
    assert said.output.startswith("leaks") and "the epoch will be selected on dev" in said.output
    assert "row by row: minbert data check mine.toml" in said.text


@pytest.fixture(scope="module")
def reading(data: Path) -> Reading:
    """The three tasks of the report with MRPC, which is its own dev so that all of it is train, and a course file."""
    pair = 'kind="yes_no",text=["sentence1","sentence2"]'
    mrpc = f'tasks.mrpc={{{pair},label="label",train="mrpc/train.tsv",dev="mrpc/train.tsv"}}'
    quoted = 'format={kind="csv",separator="\\t"}'
    course = f'tasks.course={{{pair},label="is_duplicate",train="cs224n/quora-dev.csv",{quoted}}}'
    recipe = load_recipe("tasks", [mrpc, course])
    return read_rows(recipe, data)


@pytest.fixture(scope="module")
def facts(reading: Reading) -> dict[str, Any]:
    return check(reading, 0.0).report()


def test_every_known_leak_of_the_real_data_is_found(facts: dict[str, Any]) -> None:
    leaks = {(leak["task"], leak["split"], leak["from_task"]): leak for leak in facts["leaks"]}
    sts = leaks["similarity", "dev", "similarity"]
    assert (sts["rows"], sts["exact"], sts["letters"]) == (863, 18, 16)
    assert round(sts["shared"] / sts["rows"], 2) == 0.22
    quora = leaks["paraphrase", "dev", "paraphrase"]
    assert (quora["exact"], quora["transitive"]) == (0, 2010)
    assert leaks["sentiment", "dev", "sentiment"]["exact"] == 3
    assert leaks["similarity", "dev", "mrpc"]["exact"] == 68
    (both,) = [found for found in facts["train_in_train"] if found["tasks"] == ["similarity", "mrpc"]]
    assert both["rows"][0] == 537
    floors = {name: round(task["floors"]["trivial"], 4) for name, task in facts["tasks"].items()}
    assert floors["paraphrase"] == 0.6247 and floors["similarity"] == 0 and floors["sentiment"] == 0.2534


def test_the_broken_rows_of_the_course_are_found(facts: dict[str, Any]) -> None:
    broken = [finding["place"] for finding in facts["findings"] if finding["kind"] == "broken"]
    assert [place.rpartition("/")[2] for place in broken] == ["quora-dev.csv:2577", "quora-dev.csv:14222"]


def test_with_more_duplicates_more_follows(data: Path, reading: Reading) -> None:
    quora = reading.tasks["paraphrase"]
    train = quora.splits["train"]
    more = read(data / "quora/more-duplicates.tsv", quora.task.text, None)
    columns = tuple((*column, *(row.texts[i] for row in more)) for i, column in enumerate(train.columns))
    labels = torch.cat([train.labels, torch.ones(len(more), dtype=torch.long)])
    both = Split(columns, labels, (*train.places, *(f"more:{row.line}" for row in more)))
    audit = check(Reading({"paraphrase": replace(quora, splits={**quora.splits, "train": both})}), 0.0)
    assert audit.counts() == {"transitive": 3798}
    assert any(place.startswith("more:") for finding in audit.findings for place in finding.others)
