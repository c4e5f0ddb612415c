"""Scoring joint pairs: minbert's linear head against sentence-transformers' CrossEncoder as it comes."""

import torch

from benchmarks.material import folder, model, need, rows_of, task
from benchmarks.race import Row, against, race
from minbert.inference import Predictor

PAIRS = 1000


def run(rounds: int = 3) -> list[Row]:
    """The same pairs, tokenizing included; both heads are fresh, which changes nothing in time."""
    need("sentence_transformers")
    from sentence_transformers import CrossEncoder

    rows = rows_of("quora", PAIRS)
    pairs = [(row[0], row[1]) for row in rows]
    mine = Predictor(model({"t": task("quora")}, "cls"))
    exact = Predictor(model({"t": task("quora")}, "cls", torch.float32), "float32")
    peer = CrossEncoder(str(folder()), num_labels=1, device="cpu")
    works = {
        "minbert": lambda: mine.predict("t", pairs),
        "CrossEncoder": lambda: peer.predict(pairs, show_progress_bar=False),
        "minbert, float32": lambda: exact.predict("t", pairs),
    }
    laps = race(works, rounds)
    found = against("score 1,000 joint pairs", laps[:2], "pairs", len(pairs), {"CrossEncoder": 3.6})
    return found + against("the same in float32", [laps[2], laps[1]], "pairs", len(pairs))
