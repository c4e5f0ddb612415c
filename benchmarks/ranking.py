"""Training with multiple negatives ranking on pairs, against sentence-transformers' own trainer."""

import tempfile
import time
from typing import Any

import torch

from benchmarks.material import folder, need, rows_of
from benchmarks.race import Lap, Row, against
from benchmarks.training import BATCH, Ours, Work
from minbert.losses import MultipleNegativesRanking

STEPS, WARM = 10, 2


class Sentences:
    """`SentenceTransformerTrainer` with its ranking loss, float32, random batches, its own AdamW."""

    def __init__(self, pairs: list[tuple[str, ...]]) -> None:
        from datasets import Dataset
        from sentence_transformers import SentenceTransformer

        self.model = SentenceTransformer(str(folder()), device="cpu")
        self.data = Dataset.from_dict({"anchor": [p[0] for p in pairs], "positive": [p[1] for p in pairs]})

    def __call__(self, steps: int) -> float:
        """Seconds a step, the first steps apart."""
        from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
        from sentence_transformers.losses import MultipleNegativesRankingLoss
        from transformers import TrainerCallback

        ends: list[float] = []

        class Clock(TrainerCallback):
            def on_step_end(self, *args: Any, **kwargs: Any) -> None:
                ends.append(time.perf_counter())

        with tempfile.TemporaryDirectory() as home:
            settings = SentenceTransformerTrainingArguments(
                home, per_device_train_batch_size=BATCH, max_steps=steps + WARM, learning_rate=5e-5, report_to="none",
                save_strategy="no", logging_strategy="no", disable_tqdm=True, use_cpu=True,
            )  # fmt: skip
            loss = MultipleNegativesRankingLoss(self.model)
            trainer = SentenceTransformerTrainer(
                self.model, settings, train_dataset=self.data, loss=loss, callbacks=[Clock()]
            )
            trainer.train()
        return (ends[-1] - ends[WARM - 1]) / steps


def run(rounds: int = 3) -> list[Row]:
    """Seconds a step on the same pairs, in turn."""
    need("sentence_transformers", "datasets", "accelerate")
    pairs = rows_of("quora", BATCH * STEPS)
    work = Work("quora", True, pairs, torch.ones(len(pairs), dtype=torch.long))
    mine = Ours(work, losses=(MultipleNegativesRanking(),))
    peer = Sentences(pairs)
    mine()
    ours, theirs = Lap("minbert"), Lap("sentence-transformers' trainer")
    for _ in range(rounds):
        begin = time.perf_counter()
        mine()
        ours.seconds.append((time.perf_counter() - begin) / STEPS)
        theirs.seconds.append(peer(STEPS))
    return against(f"train MNR on pairs, batch {BATCH}", [ours, theirs], "pairs", BATCH, {theirs.name: 2.5})
