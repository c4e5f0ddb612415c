"""What keeping the tasks' gradients apart costs: a step of three tasks with PCGrad against the plain sum."""

from collections.abc import Callable
from typing import Any

import torch

from benchmarks.material import model, rows_of, task
from benchmarks.race import Row, race
from minbert.gradients import Merge, PCGrad, Sum
from minbert.recipe import Stage
from minbert.runs import Silent
from minbert.text.batches import Texts, texts_of
from minbert.training.conflicts import ConflictRecord, layer_groups
from minbert.training.forward import Work
from minbert.training.plan import Slot
from minbert.training.step import Stepper

KINDS = ("sst", "quora", "sts")
BATCH = 32


def stepper(merge: Merge, texts: dict[str, Texts], every: int = 0) -> Callable[[], Any]:
    """A step of one batch of each task; the tasks' gradients are compared at every so many steps."""
    tasks = {kind: task(kind) for kind in KINDS}
    made = model(tasks, "cls").train()
    rng = torch.Generator().manual_seed(0)
    labels = {"sst": torch.randint(5, (BATCH,), generator=rng), "quora": torch.randint(2, (BATCH,), generator=rng)}
    labels["sts"] = torch.rand(BATCH, generator=rng)
    slots = [Slot(kind, torch.arange(BATCH).numpy()) for kind in KINDS]

    def forward(work: Work) -> Any:
        batches = [(s, texts[s.task].batch(s.rows, made.forms(s.task), labels[s.task])) for s, _ in work]
        pooled = made.pooled([(slot.task, batch) for slot, batch in batches], [seed for _, seed in work])
        yield [
            (s, made.score(s.task, *found), tasks[s.task].targets(batch.labels, batch.hashes))
            for (s, batch), found in zip(batches, pooled, strict=True)
        ]

    stage = Stage(schedule="constant", merge=merge, batches_per_step=3)
    shared, heads = list(made.encoder.parameters()), list(made.heads.parameters())
    optimizer = stage.optimizer.build([(5e-5, shared), (5e-5, heads)])
    losses = {kind: (tasks[kind].loss,) for kind in KINDS}
    record = ConflictRecord("train", every, 1, layer_groups(made.encoder, shared), Silent())
    step = Stepper(stage, "train", 0, losses, (shared, heads), optimizer, forward, record)
    return lambda: step(0, 1, slots)


def batches() -> dict[str, Texts]:
    """The texts of a batch of each task."""
    tokenizer = model({"sst": task("sst")}).tokenizer
    return {kind: texts_of(list(zip(*rows_of(kind, BATCH), strict=True)), tokenizer) for kind in KINDS}


def run(rounds: int = 7) -> list[Row]:
    """The ratio of the two steps."""
    texts = batches()
    plain, apart = race({"sum": stepper(Sum(), texts), "pcgrad": stepper(PCGrad(), texts)}, rounds, warm=2)
    cost = apart.median / plain.median
    return [
        Row(
            "a step of three tasks, PCGrad against the sum",
            f"{apart.median:.2f} s",
            f"sum: {plain.median:.2f} s",
            plain.median / apart.median,
            1 / 1.15,
            f"{cost:.2f} times as long; asked at most 1.15",
        )
    ]
