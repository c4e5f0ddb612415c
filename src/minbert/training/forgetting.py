"""The forgetting matrix: every task's score after every task's phase."""

from typing import Any


def forgetting(lines: list[dict[str, Any]], metrics: dict[str, str]) -> list[dict[str, Any]]:
    """The rows of the matrix.

    Args:
        lines: of metrics.jsonl.
        metrics: the metric that counts, by task.

    Returns:
        A row per phase: stage, epoch, the task that was trained, the `scores` of all tasks, and the `change` since the
        phase before (empty in the first, behind a stage without phases, and for a task that had no head then and has
        one now).
    """
    rows: list[dict[str, Any]] = []
    heads: set[str] = set()
    before: dict[str, float] = {}
    for line in lines:
        if line["event"] == "epoch" and rows and line["stage"] != rows[-1]["stage"]:
            # A stage without phases lies between: what it did is not the next phase's.
            before = {}
        if line["event"] != "phase":
            continue
        scores = {task: found[metrics[task]] for task, found in line["dev"].items()}
        # From its embeddings' score to that of a head, a task has neither learned nor forgotten.
        turned, heads = heads ^ set(line.get("heads", ())), set(line.get("heads", ()))
        change = {task: scores[task] - before[task] for task in scores if task in before and task not in turned}
        rows.append({**{k: line[k] for k in ("stage", "epoch", "task")}, "scores": scores, "change": change})
        before = scores
    return rows


def worst_drops(rows: list[dict[str, Any]]) -> dict[str, tuple[float, str]]:
    """For each task the largest drop while another trained, and which one that was."""
    found: dict[str, tuple[float, str]] = {}
    for row in rows:
        for task, change in row["change"].items():
            if task != row["task"] and change < found.get(task, (0.0, ""))[0]:
                found[task] = (change, row["task"])
    return found
