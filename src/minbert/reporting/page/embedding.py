"""A map of texts: where the trained encoder puts them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from minbert.inference import load
from minbert.inference.forward import Advance, silent
from minbert.reporting.page.chart import COLOURS, picture
from minbert.reporting.page.html import Html, tag
from minbert.reporting.page.material import Material
from minbert.reporting.page.section import Section, grid
from minbert.tasks import Classes, Split, Task

TEXTS = 450
"""On the map, of all tasks together."""

LEAST = 8
"""Fewer texts make no map."""

LETTERS = 70
"""Of a text that is shown when a point is pointed at."""

WIDTH, HEIGHT = 430.0, 380.0


@dataclass(frozen=True)
class Map:
    """Texts in the plane.

    Attributes:
        places: (texts, 2), from 0 to 1.
        texts: of each point.
        tasks: of each point.
        labels: of each point, in words.
        left: why there is no map; empty: there is one.
    """

    places: npt.NDArray[np.float64]
    texts: list[str]
    tasks: list[str]
    labels: list[str]
    left: str = ""


def no_map_of(reason: str) -> Map:
    """No map, and why."""
    return Map(np.empty((0, 2)), [], [], [], reason)


def map_of(made: Material, device: str = "auto", advance: Advance = silent) -> Map:
    """Texts of dev, by the best checkpoint's encoder, by t-SNE.

    Args:
        made: the run; without rows there is no map.
        device: where the encoder runs.
        advance: hears the tokens that were read.
    """
    texts, tasks, labels = _sample(made.tasks, made.rows)
    if len(texts) < LEAST:
        return no_map_of(made.missing.get("rows", f"there are fewer than {LEAST} texts on dev"))
    model = load(made.folder, device)
    vectors = model.encoder.embed(texts, model.model.embedding_pooling, advance=advance)
    if len(np.unique(vectors.round(4), axis=0)) < LEAST:
        return no_map_of(f"the encoder tells fewer than {LEAST} texts apart")
    return Map(plane(vectors.astype(np.float64)), texts, tasks, labels)


def plane(vectors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Vectors as places from 0 to 1, neighbours beside each other; the same every time.

    Source: van der Maaten & Hinton 2008, "Visualizing Data using t-SNE".
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    fewer = PCA(min(30, *vectors.shape), random_state=0, svd_solver="full").fit_transform(vectors)
    near = max(2.0, min(30.0, len(vectors) / 5))
    found = TSNE(perplexity=near, init="pca", random_state=0, max_iter=500).fit_transform(fewer).astype(np.float64)
    low, high = found.min(0), found.max(0)
    places: npt.NDArray[np.float64] = (found - low) / np.maximum(high - low, 1e-9)
    return places


def _sample(tasks: dict[str, Task], rows: dict[str, Split]) -> tuple[list[str], list[str], list[str]]:
    """Texts from all over dev, as many of each task; of a pair the first."""
    texts: dict[str, tuple[str, str]] = {}
    for name, split in rows.items():
        most = TEXTS // len(rows)
        for i in np.unique(np.linspace(0, len(split) - 1, min(most, len(split))).astype(int)):
            texts.setdefault(split.columns[0][i], (name, _label(tasks[name], float(split.labels[i]))))
    return list(texts), [name for name, _ in texts.values()], [label for _, label in texts.values()]


def _label(task: Task, label: float) -> str:
    if isinstance(task, Classes):
        return task.labels[int(label)]
    return f"{label:g}" if task.kind == "rating" else ("no", "yes")[int(label)]


def embedding(made: Material, found: Map) -> Section:
    """The map by task, and again by class for each task with few classes."""
    if found.left:
        return Section("Embedding map", absent=found.left)
    charts = [_chart("by task", found, list(made.tasks), found.tasks)]
    for name, task in made.tasks.items():
        if isinstance(task, Classes) and len(task.labels) <= COLOURS:
            groups = [label if own == name else "" for label, own in zip(found.labels, found.tasks, strict=True)]
            charts.append(_chart(f"{name}, by class", found, list(task.labels), groups))
    lead = (
        f"{len(found.texts):,} texts of dev where the trained encoder puts them (t-SNE): neighbours are alike to it, "
        "but distances across the map mean little. Point at a dot to read its text; of a pair the first is shown."
    )
    return Section("Embedding map", lead, (grid(*charts, wide=True),))


def _chart(caption: str, found: Map, names: list[str], groups: list[str]) -> Html:
    marks: list[Html] = []
    for (x, y), text, label, group in zip(found.places.tolist(), found.texts, found.labels, groups, strict=True):
        at = {"cx": 8 + x * (WIDTH - 16), "cy": 8 + (1 - y) * (HEIGHT - 16)}
        if group not in names:
            marks.insert(0, tag("circle", **at, r=2.2, class_="rest"))
        else:
            short = text if len(text) <= LETTERS else text[:LETTERS] + "…"
            colour = names.index(group) % COLOURS
            marks.append(tag("circle", tag("title", f"{short} ({label})"), **at, r=3.6, class_=f"f{colour}"))
    key = [tag("li", tag("i", class_=f"k{i % COLOURS}"), name) for i, name in enumerate(names)]
    told = ", ".join(f"{name}: {groups.count(name)} texts" for name in names)
    chart = picture(f"Embedding map {caption}", told, WIDTH, HEIGHT, *marks)
    return tag("figure", tag("figcaption", caption), tag("ul", *key, class_="key"), chart)
