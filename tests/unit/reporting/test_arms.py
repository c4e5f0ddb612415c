"""Tables of several runs: what they hold, and that they fit a terminal of 80 columns."""

from rich.console import Console
from rich.table import Table

from minbert.reporting.arms import Cell, arms_table, plan_table, seeds_table, trials_table


def printed(table: Table, width: int = 80) -> list[str]:
    console = Console(width=width, highlight=False)
    with console.capture() as capture:
        console.print(table)
    return [" ".join(line.split()) for line in capture.get().splitlines() if line.strip()]


def result(score: float | None, raw: float | None) -> dict[str, object]:
    tasks = {"film": {"metric": "accuracy", "dev": {} if score is None else {"accuracy": score}}}
    return {"tasks": tasks, **({} if raw is None else {"raw": raw})}


def test_every_run_has_its_score_or_its_state() -> None:
    cells: dict[str, dict[int, Cell]] = {
        "sum": {0: ("done", 0.5), 1: ("done", 0.7)},
        "pcgrad": {0: ("running", None), 1: ("new", None)},
        "hot": {0: ("failed", None), 1: ("done", 0.25)},
        "none": {0: ("done", None), 1: ("begun", None)},
    }
    lines = printed(arms_table(cells))
    assert lines[1] == "arm 0 1 mean done"
    assert lines[3:] == [
        "sum 0.500 0.700 0.600 2/2",
        "pcgrad busy - - 0/2",
        "hot failed 0.250 0.250 1/2",
        "none - begun - 1/2",
    ]


def test_many_seeds_have_a_mean_only() -> None:
    cells: dict[str, dict[int, Cell]] = {"sum": {seed: ("done", 0.5) for seed in range(20)}}
    lines = printed(arms_table(cells))
    assert lines[-3] == "arm mean done" and lines[-1] == "sum 0.500 20/20"
    lines = printed(seeds_table({seed: result(0.5, None) for seed in range(20)}))
    assert lines[-1] == "film accuracy 0.500 0.000"


def test_six_seeds_fit_a_terminal() -> None:
    cells: dict[str, dict[int, Cell]] = {"a" * 12: {seed: ("failed", None) for seed in range(6)}}
    assert printed(arms_table(cells))[-1] == f"{'a' * 12} {' '.join(['failed'] * 6)} - 0/6"


def test_seeds_have_mean_and_deviation() -> None:
    lines = printed(seeds_table({4: result(0.5, 0.75), 2: result(0.25, 0.25)}))
    assert lines[1] == "2 4 mean sd"
    assert lines[3:] == ["film accuracy 0.250 0.500 0.375 0.177", "raw mean 0.250 0.750 0.500 0.354"]
    assert printed(seeds_table({0: result(None, None)}))[-1] == "film accuracy - - -"


def test_what_is_left() -> None:
    assert printed(plan_table([("sum", 1, 0, 2, "4 s")]))[-1] == "sum 1 0 2 4 s"


def test_trials() -> None:
    rows = [(3, "done", (0.5, 0.25), "lr 0.1"), (1, "pruned", (), "lr 0.2")]
    lines = printed(trials_table(["film", "same"], rows))
    assert lines[-2:] == ["3 0.500 0.250 lr 0.1", "1 pruned lr 0.2"]
