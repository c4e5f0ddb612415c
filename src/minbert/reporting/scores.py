"""Tables of scores on one file."""

from minbert.reporting.grid import Grid
from minbert.reporting.tables import Result, number


def score_grids(found: Result) -> list[Grid]:
    """The metrics; and for classes and yes/no, each class and the confusion matrix."""
    metrics = [[name, number(value)] for name, value in found["metrics"].items()]
    grids = [Grid(f"{found['task']}: {found['rows']:,} rows", ["metric", "score"], metrics)]
    if "classes" in found:
        names = list(found["classes"])
        rows = [
            [name, *(number(c[key]) for key in ("precision", "recall", "f1")), f"{c['rows']:.0f}"]
            for name, c in found["classes"].items()
        ]
        grids.append(Grid("", ["class", "precision", "recall", "F1", "rows"], rows))
        confusion = [[name, *map(str, counts)] for name, counts in zip(names, found["confusion"], strict=True)]
        grids.append(Grid("confusion (rows: label, columns: answer)", ["", *names], confusion))
    return grids
