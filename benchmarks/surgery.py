"""What merges and weightings cost: a step of three tasks with each of them against the plain sum."""

from collections.abc import Callable
from itertools import accumulate
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.material import Passes, model, rows_of, task
from benchmarks.race import Row, race, ratio
from minbert.encoder import ByTask
from minbert.encoder.hardware import keep_memory
from minbert.gradients import AnyMerge, AnyWeighting, Equal, Merge, Sum, Weighting
from minbert.recipe import Stage
from minbert.runs import Silent
from minbert.text.batches import Texts, texts_of
from minbert.training.conflicts import ConflictRecord, layer_groups
from minbert.training.forward import Found, Work
from minbert.training.plan import Slot
from minbert.training.step import Stepper

KINDS = ("sst", "quora", "sts")
BATCH = 32


def stepper(
    merge: Merge, texts: dict[str, Texts], every: int = 0, weighting: Weighting | None = None
) -> Callable[[], Any]:
    """A step of one batch of each task; the tasks' gradients are compared at every so many steps."""
    tasks = {kind: task(kind) for kind in KINDS}
    made = model(tasks, "cls").train()
    rng = torch.Generator().manual_seed(0)
    labels = {"sst": torch.randint(5, (BATCH,), generator=rng), "quora": torch.randint(2, (BATCH,), generator=rng)}
    labels["sts"] = torch.rand(BATCH, generator=rng)
    slots = [Slot(kind, torch.arange(BATCH).numpy()) for kind in KINDS]

    def forward(work: Work, by_task: ByTask | None) -> Any:
        batches = [(s, texts[s.task].batch(s.rows, made.forms(s.task), labels[s.task])) for s, _ in work]
        pooled = made.pooled([(slot.task, batch) for slot, batch in batches], [seed for _, seed in work], by_task)
        yield [
            Found(s, made.score(s.task, *found), tasks[s.task].targets(batch.labels, batch.hashes))
            for (s, batch), found in zip(batches, pooled, strict=True)
        ]

    stage = Stage(schedule="constant", merge=merge, weighting=weighting or Equal(), batches_per_step=3)
    shared, heads = list(made.encoder.parameters()), {kind: list(made.head(kind).parameters()) for kind in KINDS}
    optimizer = stage.optimizer.build([(5e-5, shared), (5e-5, list(made.heads.parameters()))])
    losses = {kind: (tasks[kind].loss,) for kind in KINDS}
    record = ConflictRecord("train", every, 1, layer_groups(made.encoder, shared), Silent())
    step = Stepper(stage, "train", 0, losses, (shared, heads), optimizer, Passes(forward, made.splits), record)
    # The last step of an epoch, so that weightings which learn between epochs do so in it.
    return lambda: step(0, stage.epochs, slots)


def batches() -> dict[str, Texts]:
    """The texts of a batch of each task."""
    tokenizer = model({"sst": task("sst")}).tokenizer
    return {kind: texts_of(list(zip(*rows_of(kind, BATCH), strict=True)), tokenizer) for kind in KINDS}


def peak(step: Callable[[], Any]) -> int:
    """The most bytes that one step held beyond what stood before it: outputs for the way back, and gradients."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        step()
    changes = [
        (event.start_ns(), event.nbytes())
        for event in seen.profiler.kineto_results.events()  # type: ignore[union-attr]
        if event.name() == "[memory]"
    ]
    return max(accumulate(size for _, size in sorted(changes, key=lambda change: change[0])))


def run(rounds: int = 3) -> list[Row]:
    """A row for each merge, and for each weighting with the plain sum; more rounds for what is held to a figure.

    Freed memory is kept, as in `minbert.train`.
    """
    keep_memory()
    texts = batches()
    merges = [member() for member in AnyMerge.__metadata__[0].members.values()]  # type: ignore[attr-defined]
    weightings = [member() for member in AnyWeighting.__metadata__[0].members.values()]  # type: ignore[attr-defined]
    plain, held = stepper(Sum(), texts), 0
    rows = []
    for merge, weighting in [*((merge, Equal()) for merge in merges), *((Sum(), one) for one in weightings[1:])]:
        name = weighting.kind if merge.plain else merge.kind
        mine = stepper(merge, texts, weighting=weighting)
        base, lap = race({"sum": plain, name: mine}, rounds * (3 if merge.kind == "pcgrad" else 1))
        most, held = peak(mine), held or peak(plain)
        cost = ratio(lap, base)
        rows.append(
            Row(
                f"a step of three tasks, {name if name != 'equal' else 'the sum, twice'}",
                f"{lap.median:.2f} s, {most / 2**20:,.0f} MiB",
                f"sum: {base.median:.2f} s, {held / 2**20:,.0f} MiB",
                1 / cost,
                1 / 1.15 if merge.kind == "pcgrad" else None,
                f"{cost:.2f} times as long" + ("; asked at most 1.15" if merge.kind == "pcgrad" else ""),
            )
        )
    return rows
