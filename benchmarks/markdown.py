"""`python -m benchmarks.markdown`: the results of the last runs as the tables of docs/speed.md."""

import json
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def table(path: Path) -> str:
    """One part."""
    found = json.loads(path.read_text())
    about = found["environment"]
    peak = f"{about['matrix peak bf16'] / 1e9:.0f} GFLOP/s bfloat16, {about['matrix peak float32'] / 1e9:.0f} float32"
    lines = [
        f"**{path.stem}** ({about['processor']}, {about['threads']} threads, torch {about['torch']}, {peak})",
        "",
        "| work | minbert | against | ratio | asked | holds |",
        "|---|---|---|---|---|---|",
    ]
    for row in found["rows"]:
        ratio, must = ("" if row[key] is None else f"{row[key]:.2f}" for key in ("ratio", "must"))
        holds = (
            "" if row["ratio"] is None or row["must"] is None else "yes" if row["ratio"] >= row["must"] else "**no**"
        )
        remark = f" ({row['remark']})" if row["remark"] else ""
        lines.append(f"| {row['work']} | {row['mine']} | {row['peer']}{remark} | {ratio} | {must} | {holds} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print("\n\n".join(table(path) for path in sorted(RESULTS.glob("*.json"))))
