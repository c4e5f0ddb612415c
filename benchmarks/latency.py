"""One short text at a time: the median over many calls, contenders in turn."""

import torch

from benchmarks import peers
from benchmarks.material import loaded, need
from benchmarks.race import Row, race
from minbert.inference import SentenceEncoder

TEXT = "how do I reset my password?"
CALLS = 200


def run(rounds: int = CALLS) -> list[Row]:
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
    mine, *laps = race(works, rounds, warm=20)
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
