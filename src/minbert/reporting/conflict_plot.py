"""The conflicts as a picture over steps and layers."""

from pathlib import Path
from typing import Any

import numpy as np

from minbert.errors import MissingExtra, RunError
from minbert.reporting.conflicts import Pair, colour_limit, moving_mean
from minbert.storage import atomic_path
from minbert.training.conflicts import WHOLE

SUFFIXES = (".svg", ".png", ".pdf")


def plot_conflicts(pairs: list[Pair], forgot: list[dict[str, Any]], title: str, file: Path) -> None:
    """Writes a picture: for each pair the cosine of the layers over the steps and of the whole; the forgetting beside.

    Args:
        pairs: that met.
        forgot: the rows of the forgetting matrix; may be empty.
        title: above the picture.
        file: .svg, .png or .pdf.

    Raises:
        RunError: another suffix.
        MissingExtra: matplotlib is not installed.
    """
    if file.suffix.lower() not in SUFFIXES:
        raise RunError(f"--plot {file}: expected a name that ends in {', '.join(SUFFIXES)}, found {file.suffix!r}")
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtra("matplotlib", "plots") from None

    rows = len(pairs) + bool(forgot)
    figure = Figure(figsize=(9.0, 0.6 + 2.2 * rows), layout="constrained")
    figure.suptitle(title, fontsize=11)
    grid = figure.subplots(rows, 2, squeeze=False, width_ratios=(2, 1))
    limit = colour_limit(pairs)
    reach = max(float(np.nanmax(np.abs(pair.cosines[WHOLE]))) for pair in pairs) * 1.1
    for (wide, narrow), pair in zip(grid, pairs, strict=False):
        image = _layers(wide, pair, limit)
        _whole(narrow, pair, reach)
    bar = figure.colorbar(image, ax=grid[:, :].ravel().tolist(), location="bottom", shrink=0.4, aspect=40, pad=0.02)
    bar.set_label("cosine: red, the two pull against each other", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    if forgot:
        grid[-1, 1].axis("off")
        _forgetting(grid[-1, 0], forgot)
    with atomic_path(file) as partial:
        figure.savefig(partial, format=file.suffix[1:].lower(), dpi=150)


def _layers(axes: Any, pair: Pair, limit: float) -> Any:
    """Layers upwards, steps to the right, red where the two pull against each other."""
    groups = [group for group in pair.cosines if group != WHOLE]
    values = np.stack([pair.cosines[group] for group in groups])
    axes.set_title(" - ".join(pair.tasks), fontsize=9, loc="left")
    axes.set_yticks(range(len(groups)), groups, fontsize=7)
    places = np.unique(np.linspace(0, len(pair.steps) - 1, 6).astype(int))
    axes.set_xticks(places, [str(pair.steps[place]) for place in places], fontsize=7)
    axes.set_xlabel("step", fontsize=8)
    look = {"cmap": "RdBu", "vmin": -limit, "vmax": limit, "interpolation": "nearest"}
    return axes.imshow(values, aspect="auto", origin="lower", **look)


def _whole(axes: Any, pair: Pair, reach: float) -> None:
    """The cosine over all shared weights: points, and their moving mean."""
    steps, cosines = pair.steps, pair.cosines[WHOLE]
    axes.axhline(0, color="0.6", linewidth=0.8)
    axes.plot(steps, cosines, ".", color="0.75", markersize=3)
    axes.plot(*moving_mean(steps, cosines), color="#0072B2", linewidth=1.5)
    axes.set_ylim(-reach, reach)
    axes.set_title("all layers, moving mean", fontsize=9, loc="left")
    axes.set_xlabel("step", fontsize=8)
    axes.tick_params(labelsize=7)


def _forgetting(axes: Any, rows: list[dict[str, Any]]) -> None:
    """Every task's score after every task's phase; what fell since the phase before is red."""
    tasks = list(rows[-1]["scores"])
    changes = np.array([[row["change"].get(task, 0.0) for row in rows] for task in tasks])
    axes.imshow(changes, aspect="auto", cmap="RdBu", vmin=-0.2, vmax=0.2)
    axes.set_title("forgetting: dev after each task's phase", fontsize=9, loc="left")
    axes.set_yticks(range(len(tasks)), tasks, fontsize=7)
    axes.set_xticks(range(len(rows)), [f"{row['task']}\n{row['epoch']}" for row in rows], fontsize=6)
    for column, row in enumerate(rows):
        for line, task in enumerate(tasks):
            if task in row["scores"]:
                axes.text(column, line, f"{row['scores'][task]:.2f}", ha="center", va="center", fontsize=6)
