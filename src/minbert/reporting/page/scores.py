"""The head of a run's page: means, the table with its floors, what to know before reading it."""

from typing import Any

from minbert.reporting.page.html import Html, escaped, join, note, table, tag
from minbert.reporting.page.material import Material
from minbert.reporting.page.section import Section
from minbert.reporting.tables import LEGEND, number, result_notes

BY = {"head": "", "embedding": " (by the embedding)", "nothing": " (not scored)"}
COLUMNS = ["task", "metric", "dev", "no leaks", "train", "trivial", "frozen", "cosine", "embed"]


def tiles(found: list[tuple[str, str, str]]) -> Html:
    """Large numbers: name, value and a remark."""
    parts = [tag("div", tag("dt", name), tag("dd", value, " ", tag("small", more))) for name, value, more in found]
    return tag("dl", *parts, class_="tiles")


def headline(made: Material) -> Html:
    """The means, or the tasks' own scores where there is no mean, and the note on the encoder's own training."""
    result = made.result
    shown = [
        (name, number(task["dev"].get(task["metric"])), f"{task['metric']}")
        for name, task in list(result["tasks"].items())[:5]
    ]
    if "raw" in result:
        shown = [("mean of dev", number(result["raw"]), "raw"), *shown]
    warning = [tag("p", tag("strong", "Note. "), result["note"], class_="warning")] if result["note"] else []
    return join([tiles(shown), *warning])


def scores(made: Material) -> Section:
    """The final table."""
    rows: list[list[str]] = [list(map(escaped, _row(name, task))) for name, task in made.result["tasks"].items()]
    for row, task in zip(rows, made.result["tasks"].values(), strict=True):
        row[2] = tag("td", number(task["dev"].get(task["metric"])), class_="number best")
    notes = [line for line in result_notes(made.result) if not line.startswith("note: ")]
    lead = f"Dev beside what a score must beat. {_selected(made.result)}"
    return Section("Scores", lead, (table(COLUMNS, rows, words=2), *(note(line) for line in notes), note(LEGEND)))


def _selected(result: dict[str, Any]) -> str:
    chosen = result["selected_on"]
    if not result["best"].get("epoch"):
        return "Nothing was trained."
    if chosen == "dev":
        return "The epoch was selected on dev itself, so dev flatters a little."
    return f"The epoch was selected on {chosen:g} of train, held out; dev only reports."


def _row(name: str, task: dict[str, Any]) -> list[str]:
    metric, floors = task["metric"], task["floors"]
    return [
        name,
        metric + BY[task["scored_by"]],
        number(task["dev"].get(metric)),
        number(task["dev_without_leaks"].get(metric)) if task["dev_leaked_rows"] else "=",
        number(task["train"].get(metric)),
        *(number(floors.get(floor)) for floor in ("trivial", "frozen", "untouched")),
        number(task["embedding"].get(metric)),
    ]
