"""Tables for the terminal."""

from collections.abc import Iterable
from typing import Any

from rich import box
from rich.table import Table

Result = dict[str, Any]


def table(title: str, columns: list[str], rows: list[list[str]], caption: str = "") -> Table:
    """A plain table: the first column left, the others right."""
    made = Table(
        title=title or None,
        caption=caption or None,
        box=box.SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
        collapse_padding=True,
        pad_edge=False,
    )
    for number, name in enumerate(columns):
        made.add_column(name, justify="left" if number == 0 else "right", no_wrap=number == 0, min_width=5)
    for row in rows:
        made.add_row(*row)
    return made


def number(value: float | None) -> str:
    """Three places, or a dash."""
    return "-" if value is None else f"{value:.3f}"


def selection(on: str | float) -> str:
    """On which rows the epoch was selected, in words.

    Args:
        on: `select.on` of the recipe.
    """
    return "dev" if on == "dev" else f"{100 * float(on):.3g} % of train, held out; dev is only reported"


def selections(results: Iterable[Result]) -> str:
    """On which rows the epochs of several results were selected."""
    found = {selection(result["selected_on"]) for result in results if result["best"].get("epoch")}
    return f"epochs selected on {' / '.join(sorted(found))}" if found else "no epoch was selected"


def result_table(result: Result) -> Table:
    """The final table of a run: floors, train and dev beside each other."""
    rows = []
    for name, task in result["tasks"].items():
        metric, floors = task["metric"], task["floors"]
        rows.append(
            [
                name,
                metric
                + (
                    "" if task["scored_by"] == "head" else " (embed)" if task["scored_by"] == "embedding" else " (none)"
                ),
                number(floors.get("trivial")),
                number(floors.get("frozen")),
                number(floors.get("untouched")),
                number(task["train"].get(metric)),
                number(task["dev"].get(metric)),
                number(task["dev_without_leaks"].get(metric)) if task["dev_leaked_rows"] else "=",
                number(task["embedding"].get(metric)),
            ]
        )
    columns = ["task", "metric", "trivial", "frozen", "cosine", "train", "dev", "no\nleaks", "embed"]
    return table("", columns, rows)


def result_notes(result: Result) -> list[str]:
    """The lines below the final table."""
    lines = []
    if "raw" in result:
        lines.append(
            f"mean of dev: raw {result['raw']:.3f} (norm, with (r + 1) / 2 for correlations: {result['norm']:.3f})"
        )
    best = result["best"]
    if best.get("epoch"):
        lines.append(
            f"best: stage {best['stage']}, epoch {best['epoch']}, selected on {selection(result['selected_on'])}; "
            f"seed {result['seed']}"
        )
    elif "selected_on" in result:
        lines.append(f"nothing was trained, so no epoch was selected; seed {result['seed']}")
    lines += [
        f"stage {end['stage']} stopped after epoch {end['epoch']} of {end['of']}: "
        f"{end['patience']} in a row without a better select score (select.patience)"
        for end in result.get("stopped", [])
    ]
    lines += [
        f"{name}: {task['dev_leaked_rows']:,} of {task['dev_rows']:,} dev rows can be had from train"
        for name, task in result["tasks"].items()
        if task["dev_leaked_rows"]
    ]
    lines += [
        f"{name}: calibrated on the rows held out, {said['scale']:.2f} x logit"
        + (f" {said['shift']:+.2f}" if said["shift"] else "")
        for name, said in ((name, task.get("calibration")) for name, task in result["tasks"].items())
        if said
    ]
    if result["note"]:
        lines.append(f"note: {result['note']}")
    return lines


def start_table(result: Result) -> Table:
    """What going on from another run did to every task: dev before and after."""
    rows = []
    for name, task in result["tasks"].items():
        before = result["start"]["dev"].get(name, {}).get(task["metric"])
        after = task["dev"].get(task["metric"])
        change = "" if before is None or after is None else f"{after - before:+.3f}"
        rows.append([name, task["metric"], number(before), number(after), change])
    return table(
        f"dev before and after, from {result['start']['run']}", ["task", "metric", "before", "after", ""], rows
    )


LEGEND = (
    "trivial: the most frequent class, or a constant. frozen: logistic or ridge regression on the encoder as found. "
    "cosine: its cosine alone. no leaks: dev without rows that train gives away. embed: the trained encoder's cosine."
)


def forgetting_table(rows: list[Result], tasks: list[str]) -> Table:
    """The forgetting matrix: every task's score after every task's phase, and the change since the phase before."""
    cells = []
    for row in rows:
        scores = []
        for task in tasks:
            change = row["change"].get(task)
            own = "*" if task == row["task"] else ""
            scores.append(number(row["scores"].get(task)) + own + ("" if change is None else f" {change:+.3f}"))
        cells.append([f"{row['stage']} {row['epoch']}, after {row['task']}", *scores])
    return table(
        "forgetting: up to 1,000 rows of dev after each task's phase (* the task just trained)", ["", *tasks], cells
    )


def dry_tables(found: Result) -> list[Table]:
    """What `--dry-run` found: the tasks, and the stages."""
    rows = []
    for name, task in found["tasks"].items():
        train = sum(task["classes"].values())
        shares = ", ".join(f"{label} {count / train:.0%}" for label, count in list(task["classes"].items())[:8])
        more = f" and {len(task['classes']) - 8} more" if len(task["classes"]) > 8 else ""
        sizes = " / ".join(
            f"{task['rows'].get(split, 0):,}" for split in ("train", "select", "dev") if split in task["rows"]
        )
        content = shares + more if shares else f"mean {task['mean']:.2f}"
        rows.append([name, task["kind"], sizes, content, f"{task['cut']:,}", f"{task['leaked']:,}"])
    sizes = "train / select / dev" if any("select" in t["rows"] for t in found["tasks"].values()) else "train / dev"
    data = table("", ["task", "kind", f"rows {sizes}", "classes", "texts cut", "dev rows in train"], rows)
    steps = [
        [name, f"{s['steps']:,}", ", ".join(f"{t} {n:,}" for t, n in s["rows"].items())]
        for name, s in found["stages"].items()
    ]
    return [data, table("", ["stage", "steps", "rows an epoch"], steps)]
