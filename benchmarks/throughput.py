"""Throughput against length and batch: embedding by minbert and by sentence-transformers, as a picture."""

from pathlib import Path

import numpy as np

from benchmarks.material import loaded, need
from benchmarks.peers import sentence_transformers
from benchmarks.race import Row, race
from minbert.inference import SentenceEncoder

LENGTHS, BATCHES = (8, 16, 32, 64, 128, 256), (1, 4, 16, 64, 256)
PICTURE = Path(__file__).parents[1] / "docs" / "throughput.svg"
INK = {"minbert": "#0b6e4f", "minbert, float32": "#7fb69e", "sentence-transformers": "#c8553d"}


def texts(count: int, length: int) -> list[str]:
    """Distinct texts of so many tokens, the two special ones included."""
    rng = np.random.default_rng(length)
    words = np.array(["water", "house", "music", "paper", "river", "stone", "green", "light", "world", "story"])
    return [" ".join(words[rng.integers(10, size=length - 2)]) for _ in range(count)]


def run(rounds: int = 2) -> list[Row]:
    """Both sweeps; also writes the picture."""
    need("sentence_transformers", "matplotlib")
    encoder = SentenceEncoder(loaded().encoder, loaded().tokenizer)
    peer = sentence_transformers()
    rates: dict[str, dict[str, list[float]]] = {"length": {}, "batch": {}}
    points = {"length": [(8192 // n, n) for n in LENGTHS], "batch": [(count, 24) for count in BATCHES]}
    for axis, sizes in points.items():
        for count, length in sizes:
            given = texts(count, length)
            works = {
                "minbert": lambda given=given: encoder.embed(given),
                "minbert, float32": lambda given=given: encoder.embed(given, precision="float32"),
                "sentence-transformers": lambda given=given: peer(given),
            }
            for lap in race(works, rounds if count > 4 else 5 * rounds):
                rates[axis].setdefault(lap.name, []).append(count * length / lap.median)
    draw(rates)
    return [
        Row(f"{axis} {value}", f"{mine:,.0f} tokens/s", f"sentence-transformers: {other:,.0f}", mine / other)
        for axis, values in (("length", LENGTHS), ("texts at once", BATCHES))
        for value, mine, other in zip(
            values,
            rates["length" if axis == "length" else "batch"]["minbert"],
            rates["length" if axis == "length" else "batch"]["sentence-transformers"],
            strict=True,
        )
    ]


def draw(rates: dict[str, dict[str, list[float]]]) -> None:
    """The picture: thousand tokens a second over the length, and over the number of texts."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "minbert"
    from matplotlib import pyplot as plt

    figure, places = plt.subplots(1, 2, figsize=(9, 3.4), sharey=True, layout="constrained")
    axes = (("length", LENGTHS, "tokens a text, 8,192 tokens in all"), ("batch", BATCHES, "texts of 24 tokens at once"))
    for place, (axis, values, label) in zip(places, axes, strict=True):
        for name, rate in rates[axis].items():
            place.plot(values, [r / 1e3 for r in rate], "o-", color=INK[name], label=name, linewidth=2, markersize=4)
        place.set_xscale("log", base=2)
        place.set_xticks(values, [str(v) for v in values])
        place.set_xlabel(label)
        place.spines[["top", "right"]].set_visible(False)
        place.grid(axis="y", alpha=0.25)
    # Once both have their lines: from then on the shared axis no longer follows them.
    places[0].set_ylim(bottom=0)
    places[0].set_ylabel("thousand tokens a second")
    places[1].legend(frameon=False, loc="upper left")
    figure.savefig(PICTURE, metadata={"Date": None})
