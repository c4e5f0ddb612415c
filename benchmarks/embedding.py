"""Embedding 4,000 questions: minbert, sentence-transformers, ONNX Runtime, OpenVINO, in bfloat16 and float32."""

import torch

from benchmarks import peers
from benchmarks.material import loaded, need, rows_of
from benchmarks.race import Row, against, of_peak, race
from benchmarks.training import products
from minbert.encoder import choose_precision
from minbert.inference import SentenceEncoder
from minbert.text.batches import Forms, texts_of

TEXTS = 4000
FAITHFUL = 0.999
"""A peer counts as faithful from this cosine to float32 on."""


def run(rounds: int = 3) -> list[Row]:
    """All contenders over the same texts, tokenizing included."""
    need("sentence_transformers", "onnxruntime", "openvino")
    texts = list(dict.fromkeys(row[0] for row in rows_of("quora", TEXTS + 2000)))[:TEXTS]
    threads = torch.get_num_threads()
    encoder = SentenceEncoder(loaded().encoder, loaded().tokenizer)
    works = {
        "minbert": lambda: encoder.embed(texts),
        "minbert, float32": lambda: encoder.embed(texts, precision="float32"),
    }
    others = {
        "sentence-transformers": peers.sentence_transformers(),
        "sentence-transformers, bf16": peers.sentence_transformers("bfloat16"),
        "onnxruntime": peers.onnxruntime(threads),
        "openvino, f32": peers.openvino(threads, "f32"),
        "openvino, bf16": peers.openvino(threads, "bf16"),
    }
    works |= {name: lambda embed=embed: embed(texts) for name, embed in others.items()}  # type: ignore[misc]
    exact = works["sentence-transformers"]()
    nearness = {name: peers.cosines(work(), exact) for name, work in works.items()}
    laps = {lap.name: lap for lap in race(works, rounds, warm=0)}
    for name, lap in laps.items():
        lap.remark = f"cosine to float32 >= {nearness[name]:.5f}"
    low, full = laps["minbert"], laps["minbert, float32"]
    faithful = [lap for name, lap in laps.items() if name in others and nearness[name] >= FAITHFUL]
    fastest = min(faithful, key=lambda lap: lap.median)
    musts = {"sentence-transformers": 3.6, fastest.name: 1.05}
    rows = against("embed 4,000 questions", [low, *(laps[name] for name in others)], "texts", len(texts), musts)
    half = {"sentence-transformers": 1.4, "onnxruntime": 1.0}
    chosen = [laps[name] for name in ("sentence-transformers", "onnxruntime", "openvino, f32")]
    rows += against("the same in float32", [full, *chosen], "texts", len(texts), half)
    rows.append(Row("cosine of bfloat16 to float32", f"{nearness['minbert']:.5f}", "", nearness["minbert"], 0.9995))
    batch = texts_of([texts], encoder.tokenizer).batch(torch.arange(len(texts)).numpy(), Forms(True, False))
    done = products(encoder.encoder, len(batch.pack.ids)) / 3
    precision = choose_precision("auto", encoder.encoder.device)
    rows.append(of_peak("embed", works["minbert"], done, precision, 0.65, rounds))
    return rows
