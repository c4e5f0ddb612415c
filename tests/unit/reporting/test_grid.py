"""A grid in a terminal, in markdown, in LaTeX."""

import io

import pytest
from rich.console import Console

from minbert.reporting.grid import Grid, escaped

GRID = Grid(
    "50 % of a_b",
    ["", "seeds", "score"],
    [["sum | plain", "3", "0.637 (0.014)"], ["pcgrad_100%", "-", "-0.002 to +0.010"]],
)


def lines(width: int) -> list[str]:
    file = io.StringIO()
    Console(file=file, width=width).print(GRID.rich(width))
    text = file.getvalue()
    assert all(len(line) <= width for line in text.splitlines()) and "…" not in text
    return [line.rstrip() for line in text.splitlines()]


def test_where_there_is_room_nothing_folds() -> None:
    assert lines(80) == [
        "             seeds             score",
        "────────────────────────────────────",
        "sum | plain      3     0.637 (0.014)",
        "pcgrad_100%      -  -0.002 to +0.010",
    ]
    assert lines(36) == lines(80)


def test_where_there_is_none_cells_fold_between_words() -> None:
    assert lines(35) == [
        "             seeds    score",
        "───────────────────────────",
        "sum | plain      3    0.637",
        "                    (0.014)",
        "pcgrad_100%      -   -0.002",
        "                         to",
        "                     +0.010",
    ]
    for width in range(27, 36):
        words = [word for line in lines(width) for word in line.split()]
        assert {"0.637", "(0.014)", "-0.002", "+0.010", "pcgrad_100%", "sum"} <= set(words)


def test_markdown_keeps_a_bar_within_its_cell() -> None:
    assert GRID.markdown().splitlines() == [
        "**50 % of a_b**",
        "",
        "|  | seeds | score |",
        "| :-- | --: | --: |",
        "| sum \\| plain | 3 | 0.637 (0.014) |",
        "| pcgrad_100% | - | -0.002 to +0.010 |",
    ]


def test_latex_needs_no_package() -> None:
    assert GRID.latex().splitlines() == [
        r"\textbf{50 \% of a\_b}",
        "",
        r"\begin{tabular}{lrr}",
        r"\hline",
        r" & seeds & score \\",
        r"\hline",
        r"sum \textbar{} plain & 3 & 0.637 (0.014) \\",
        r"pcgrad\_100\% & - & $-$0.002 to +0.010 \\",
        r"\hline",
        r"\end{tabular}",
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (r"a\b{c}", r"a\textbackslash{}b\{c\}"),
        ("5 < 6 & ~x^2 # $1", r"5 \textless{} 6 \& \textasciitilde{}x\textasciicircum{}2 \# \$1"),
        ("-0.5 and -.5 and 1e-05 and seed-3 and - 3", r"$-$0.5 and $-$.5 and 1e-05 and seed-3 and - 3"),
    ],
)
def test_signs_are_escaped(text: str, found: str) -> None:
    assert escaped(text) == found
