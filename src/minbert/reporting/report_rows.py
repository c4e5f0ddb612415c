"""The report's Table 1, and ours beside it."""

from typing import Any

from rich.table import Table

from minbert.reporting.tables import number, selections, table

Result = dict[str, Any]
TASKS = ("sentiment", "paraphrase", "similarity")

NAMES = {
    "0": "encoder as found",
    "1": "baseline, SST only",
    "2": "CE+BCE+COS",
    "3": "CE+BCE+MNR",
    "4": "CE+MNR+COS",
    "5": "CE+MNR+MNR",
    "6": "row 3, dropout .3",
    "7": "pretrain, 2x MNR",
    "8": "row 3, surgery",
    "8-control": "plain sum",
}

EXPECTED: dict[str, tuple[float, ...]] = {
    # train and dev of sentiment, paraphrase and similarity; the overall mean (raw, on dev)
    "1": (0.644, 0.511, 0.473, 0.469, 0.222, 0.250, 0.410),
    "2": (0.925, 0.490, 0.757, 0.729, 0.953, 0.454, 0.558),
    "3": (0.979, 0.511, 0.777, 0.743, 0.529, 0.503, 0.586),
    "4": (0.806, 0.519, 0.388, 0.392, 0.924, 0.491, 0.467),
    "5": (0.953, 0.500, 0.371, 0.382, 0.622, 0.614, 0.499),
    "6": (0.975, 0.507, 0.749, 0.736, 0.441, 0.459, 0.567),
    "7": (0.996, 0.505, 0.813, 0.761, 0.608, 0.571, 0.612),
}
"""The report's figures: BERT-base, ten epochs, one seed. It has no row for surgery or for the encoder as found."""


def figures(result: Result) -> list[float | None]:
    """Train and dev of the three tasks, then the raw mean, as in `EXPECTED`."""
    cells: list[float | None] = []
    for name in TASKS:
        task = result["tasks"][name]
        cells += [task["train"].get(task["metric"]), task["dev"].get(task["metric"])]
    return [*cells, result.get("raw")]


def report_table(results: dict[str, Result], title: str) -> Table:
    """A row of ours over the report's, for each row that has run."""
    columns = [
        "row",
        *(f"{task}\n{split}" for task in ("SST", "Quora", "STS") for split in ("train", "dev")),
        "raw",
        "norm",
    ]
    rows = []
    for row, result in results.items():
        ours = [number(value) for value in figures(result)]
        rows.append([f"{row} {NAMES[row]}", *ours, number(result.get("norm"))])
        if row in EXPECTED:
            rows.append(["  the report", *(f"{value:.3f}" for value in EXPECTED[row]), "-"])
    return table(title, columns, rows, selections(results.values()))


def overall_table(columns: dict[str, dict[str, Result]]) -> Table:
    """The raw mean of each row: the report's, and ours under each setting."""
    rows = []
    for row in NAMES:
        found = [results.get(row, {}).get("raw") for results in columns.values()]
        if any(value is not None for value in found):
            report = EXPECTED[row][-1] if row in EXPECTED else None
            rows.append([f"{row} {NAMES[row]}", number(report), *map(number, found)])
    every = [result for results in columns.values() for result in results.values()]
    return table("raw mean on dev", ["row", "the report", *columns], rows, selections(every))


FLOORS = "floors on dev: SST most frequent class of train .253, Quora always no .625, STS a constant 0"
