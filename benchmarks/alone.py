"""`python -m benchmarks.alone RUN`: each task of a run against the same encoder fine-tuned for that task alone.

What a user of transformers would do: `AutoModelForSequenceClassification`, random padded batches, AdamW with a linear
rate, the last epoch. The rows are those of the run, and both answer the same rows of dev.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.race import console
from minbert.encoder import resolve
from minbert.recipe import Recipe
from minbert.statistics import DRAWS, RESAMPLED, Differences, row_counts, two_way
from minbert.tasks import Task, TaskData
from minbert.training.answers import read_answers, read_tasks
from minbert.training.setup import load_data

RESULTS = Path(__file__).parent / "results"


class Alone:
    """One task, one encoder, transformers.

    Args:
        folder: of the encoder's weights.
        data: the task's rows.
        tokens: the limit on a sequence.
        settings: of the command line.
    """

    def __init__(self, folder: Path, data: TaskData, tokens: int, settings: argparse.Namespace) -> None:
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        torch.manual_seed(settings.seed)
        self.task, self.data, self.settings = data.task, data, settings
        outputs = {"classes": data.task.outputs, "yes_no": 2, "rating": 1}[data.task.kind]
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=outputs)
        self.tokens = min(tokens, self.model.config.max_position_embeddings)

    def logits(self, split: str, rows: list[int]) -> Tensor:
        """The model's logits for rows, padded to the longest of them."""
        texts = [[column[row] for row in rows] for column in self.data.splits[split].columns]
        codes = self.tokenizer(*texts, padding=True, truncation=True, max_length=self.tokens, return_tensors="pt")
        with torch.autocast("cpu", torch.bfloat16, enabled=self.settings.bf16):
            found: Tensor = self.model(**codes).logits
        return found.float()

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy; for a rating the squared error on the 0-1 scale."""
        if self.task.kind != "rating":
            return F.cross_entropy(logits, labels.long())
        low, high = self.task.bounds
        return F.mse_loss(logits[:, 0], (labels - low) / (high - low))

    def train(self) -> None:
        """All epochs."""
        settings, size = self.settings, len(self.data.splits["train"])
        labels = self.data.splits["train"].labels
        optimizer = torch.optim.AdamW(self.model.parameters(), lr=settings.lr, weight_decay=0.01)
        steps = settings.epochs * -(-size // settings.batch)
        rise = max(1, round(0.1 * steps))
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: min((step + 1) / rise, (steps - step) / max(1, steps - rise))
        )
        self.model.train()
        for _ in range(settings.epochs):
            order = torch.randperm(size)
            for chosen in order.split(settings.batch):
                self.loss(self.logits("train", chosen.tolist()), labels[chosen]).backward()
                torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
                optimizer.step()
                schedule.step()
                optimizer.zero_grad()
        self.model.eval()

    @torch.inference_mode()
    def scores(self) -> Tensor:
        """Dev, in the form in which minbert's heads give scores: one logit for yes/no."""
        rows = list(range(len(self.data.splits["dev"])))
        found = torch.cat([self.logits("dev", rows[i : i + 64]) for i in range(0, len(rows), 64)])
        return found[:, 1:] - found[:, :1] if self.task.kind == "yes_no" else found


def compared(task: Task, labels: Tensor, mine: Tensor, theirs: Tensor) -> dict[str, float]:
    """The metric of both, and their difference with its interval over rows, by the rule of `minbert compare`."""
    both = np.stack([task.answers(mine), task.answers(theirs)], axis=1)
    counts = row_counts(len(labels), DRAWS, np.random.default_rng(0))
    draws = np.concatenate([RESAMPLED[task.scored_by](labels.numpy(), both, drawn) for drawn in counts])
    ours, alone = (task.scores(labels, scores)[task.scored_by] for scores in (mine, theirs))
    apart = (draws[:, 0] - draws[:, 1])[None, :, None]
    found = two_way(Differences(np.array([ours - alone]), apart, (len(labels),)))
    return {"minbert": ours, "alone": alone, "difference": found.difference, "low": found.low, "high": found.high}


def main(words: Sequence[str] | None = None) -> None:
    """One line a task, and all of it in `benchmarks/results/alone.json`.

    Args:
        words: of the command line; None: as it was called.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="a finished run of minbert")
    parser.add_argument("--data", type=Path, help="where the recipe's files are")
    parser.add_argument("--task", action="append", help="only these tasks")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--lr", type=float, default=5e-5)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bf16", action="store_true", help="under autocast: faster, and what minbert does")
    settings = parser.parse_args(words)
    recipe = Recipe.load(settings.run / "recipe.toml")
    data, answers, tasks = load_data(recipe, settings.data), read_answers(settings.run), read_tasks(settings.run)
    folder = resolve(recipe.encoder.source).weights.parent
    results: dict[str, Any] = {}
    for name in settings.task or tasks:
        alone = Alone(folder, data[name], recipe.encoder.max_tokens, settings)
        alone.train()
        dev = answers[name]["dev"]
        results[name] = found = compared(tasks[name], dev.labels, dev.scores, alone.scores())
        console.print(
            f"{name} ({tasks[name].scored_by}, {len(dev.labels):,} rows): minbert {found['minbert']:.3f}, "
            f"alone {found['alone']:.3f}, difference {found['difference']:+.3f} "
            f"({found['low']:+.3f} to {found['high']:+.3f})"
        )
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "alone.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
