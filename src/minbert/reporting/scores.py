"""Tables of scores on one file."""

from rich.table import Table

from minbert.reporting.tables import Result, number, table


def score_tables(found: Result) -> list[Table]:
    """The metrics; and for classes and yes/no, each class and the confusion matrix."""
    metrics = [[name, number(value)] for name, value in found["metrics"].items()]
    tables = [table(f"{found['task']}: {found['rows']:,} rows", ["metric", "score"], metrics)]
    if "classes" in found:
        names = list(found["classes"])
        rows = [
            [name, *(number(c[key]) for key in ("precision", "recall", "f1")), f"{c['rows']:.0f}"]
            for name, c in found["classes"].items()
        ]
        tables.append(table("", ["class", "precision", "recall", "F1", "rows"], rows))
        confusion = [[name, *map(str, counts)] for name, counts in zip(names, found["confusion"], strict=True)]
        tables.append(table("confusion (rows: label, columns: answer)", ["", *names], confusion))
    return tables
