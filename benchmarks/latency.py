"""One short text at a time: the median over many calls, contenders in turn.

Each has its turn of some calls in a row, after a rest: the runtimes' threads wait for work by spinning, and would take
the processor from whoever comes next.
"""

import time
from collections.abc import Callable
from typing import Any

import torch

from benchmarks import peers
from benchmarks.material import loaded, need
from benchmarks.race import Lap, Row
from minbert.inference import SentenceEncoder

TEXT = "how do I reset my password?"
ROUNDS, WARM, CALLS = 20, 3, 10
REST = 0.1
"""Seconds: longer than any of the runtimes spins."""


def turn(embed: Callable[[], Any]) -> list[float]:
    """The seconds of each call of a turn."""
    time.sleep(REST)
    found = []
    for number in range(WARM + CALLS):
        begin = time.perf_counter()
        embed()
        if number >= WARM:
            found.append(time.perf_counter() - begin)
    return found


def run(rounds: int = ROUNDS) -> list[Row]:
    """p50 of minbert, sentence-transformers and the runtimes."""
    need("sentence_transformers", "onnxruntime", "openvino")
    threads = torch.get_num_threads()
    encoder = SentenceEncoder(loaded().encoder, loaded().tokenizer)
    others = {
        "sentence-transformers": peers.sentence_transformers(),
        "onnxruntime": peers.onnxruntime(threads),
        "openvino, f32": peers.openvino(threads, "f32"),
        "openvino, bf16": peers.openvino(threads, "bf16"),
    }
    exact = others["sentence-transformers"]([TEXT])
    faithful = {name for name, embed in others.items() if peers.cosines(embed([TEXT]), exact) >= 0.999}
    works = {"minbert": lambda: encoder.embed([TEXT])}
    works |= {name: lambda embed=embed: embed([TEXT]) for name, embed in others.items()}  # type: ignore[misc]
    mine, *laps = [Lap(name) for name in works]
    for _ in range(rounds):
        for lap, embed in zip((mine, *laps), works.values(), strict=True):
            lap.seconds += turn(embed)
    fastest = min((lap for lap in laps if lap.name in faithful), key=lambda lap: lap.median)
    musts = {"sentence-transformers": 2.0, fastest.name: 1 / 1.3}
    return [
        Row(
            "one short text, p50",
            f"{mine.median * 1e3:.2f} ms",
            f"{lap.name}: {lap.median * 1e3:.2f} ms",
            lap.median / mine.median,
            musts.get(lap.name),
            "the fastest that is faithful" if lap is fastest else "",
        )
        for lap in laps
    ]
