"""A training step on batches of SST, Quora and STS, apart and joint, against transformers as users write it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import minbert.training.forward as passes
from benchmarks.material import Passes, folder, model, need, rows_of, task
from benchmarks.race import Row, against, console, of_peak, race
from benchmarks.surgery import KINDS, batches, stepper
from minbert.encoder.hardware import keep_memory
from minbert.gradients import Sum
from minbert.model import forms_of
from minbert.recipe import Stage
from minbert.tasks import Task
from minbert.text.batches import texts_of
from minbert.training.forward import Found
from minbert.training.plan import Slot
from minbert.training.step import Stepper

BATCH, BATCHES = 32, 4
MUSTS = {"transformers": 3.2, "transformers, bf16, sorted": 1.4}


@dataclass
class Work:
    """One race: rows of a task, in one form."""

    kind: str
    apart: bool
    rows: list[tuple[str, ...]]
    labels: Tensor
    batch: int = BATCH
    max_tokens: int = 256

    @property
    def name(self) -> str:
        return self.kind if self.kind == "sst" else f"{self.kind} {'apart' if self.apart else 'joint'}"

    @property
    def pooling(self) -> str:
        """Pairs read joint are scored from the first token, as is usual; everything else from the mean."""
        return "mean" if self.apart or self.kind == "sst" else "cls"


def works() -> list[Work]:
    """The five works."""
    rng = torch.Generator().manual_seed(0)
    made = []
    for kind, apart in (("sst", False), ("quora", False), ("quora", True), ("sts", False), ("sts", True)):
        count = BATCH * BATCHES
        labels = {"sst": torch.randint(5, (count,), generator=rng), "quora": torch.randint(2, (count,), generator=rng)}
        made.append(Work(kind, apart, rows_of(kind, count), labels.get(kind, torch.rand(count, generator=rng))))
    return made


class Ours:
    """minbert's own step, with packing, clipping and AdamW, over the batches of a work."""

    def __init__(self, work: Work, precision: torch.dtype | None = None, losses: tuple[Any, ...] | None = None) -> None:
        self.spec: Task = task(work.kind, work.apart)
        self.model = model({"t": self.spec}, work.pooling, precision, work.max_tokens).train()
        self.texts = texts_of(list(zip(*work.rows, strict=True)), self.model.tokenizer)
        self.labels, self.tokens = work.labels, 0
        shared, heads = list(self.model.encoder.parameters()), {"t": list(self.model.heads.parameters())}
        stage = Stage(schedule="constant")
        by_task = {"t": losses or (self.spec.loss,)}
        self.losses = by_task["t"]
        optimizer = stage.optimizer.build([(5e-5, shared), (5e-5, heads["t"])])
        self.stepper = Stepper(stage, "train", 0, by_task, (shared, heads), optimizer, Passes(self.forward))
        self.slots = [Slot("t", rows) for rows in np.arange(len(work.rows)).reshape(-1, work.batch)]

    def forward(self, work: passes.Work, by_task: Any = None) -> Any:
        """As in training: pack, encode, score."""
        for slot, seed in work:
            batch = self.texts.batch(slot.rows, self.model.forms("t", self.losses), self.labels)
            self.tokens += len(batch.pack.ids)
            assert batch.labels is not None
            (pooled,) = self.model.pooled([("t", batch)], [seed])
            targets = self.spec.targets(batch.labels, batch.hashes)
            yield [Found(slot, self.model.score("t", *pooled), targets)]

    def __call__(self) -> None:
        self.tokens = 0
        for slot in self.slots:
            self.stepper(0, 1, [slot])


class Theirs:
    """BertModel with the same head and loss, padded batches, torch's AdamW; ids are ready, which is a gift.

    Args:
        work: rows and labels.
        best: bfloat16 autocast, batches of near-equal length, the fused optimizer, both sides of a pair in one pass.
        pool: of so many rows after the other, each sorted by itself; None: of all.
    """

    def __init__(self, work: Work, best: bool, pool: int | None = None) -> None:
        from transformers import AutoTokenizer, BertModel

        self.work, self.best = work, best
        self.bert = BertModel.from_pretrained(folder()).train()
        outputs, vectors = (5 if work.kind == "sst" else 1), (2 if work.apart else 1)
        self.head = nn.Linear(self.bert.config.hidden_size * vectors, outputs)
        self.drop = nn.Dropout(0.1)
        parameters = [*self.bert.parameters(), *self.head.parameters()]
        self.optimizer = torch.optim.AdamW(parameters, lr=5e-5, weight_decay=0.01, fused=best or None)
        self.parameters = parameters
        tokenizer = AutoTokenizer.from_pretrained(folder())
        order = np.arange(len(work.rows))
        if best:
            sizes = np.array([sum(map(len, row)) for row in work.rows]).reshape(-1, pool or len(work.rows))
            order = (np.argsort(sizes, kind="stable") + order.reshape(sizes.shape)[:, :1]).reshape(-1)
        self.batches = []
        for chosen in order.reshape(-1, work.batch):
            rows = [work.rows[i] for i in chosen]
            self.batches.append((self._padded(tokenizer, rows), work.labels[torch.from_numpy(chosen)]))

    def _padded(self, tokenizer: Any, rows: list[tuple[str, ...]]) -> list[Any]:
        def of(*columns: Any) -> Any:
            limits = {"truncation": True, "max_length": self.work.max_tokens}
            return tokenizer(*map(list, columns), padding=True, return_tensors="pt", **limits)

        if not self.work.apart:
            return [of(*zip(*rows, strict=True))]
        sides = list(zip(*rows, strict=True))
        return [of(sides[0] + sides[1])] if self.best else [of(side) for side in sides]

    def _vectors(self, ids: Any) -> Tensor:
        hidden = self.bert(**ids).last_hidden_state
        if self.work.pooling == "cls":
            return hidden[:, 0]
        mask = ids["attention_mask"][:, :, None]
        return (hidden * mask).sum(1) / mask.sum(1)

    def __call__(self) -> None:
        for packs, labels in self.batches:
            with torch.autocast("cpu", torch.bfloat16, enabled=self.best):
                vectors = [self._vectors(ids) for ids in packs]
                if self.work.apart and self.best:
                    vectors = list(vectors[0].chunk(2))
                if self.work.apart:
                    vectors = [torch.cat([(vectors[0] - vectors[1]).abs(), vectors[0] * vectors[1]], 1)]
                scores = self.head(self.drop(vectors[0])).float()
            loss = task_loss(self.work.kind, scores, labels)
            loss.backward()
            nn.utils.clip_grad_norm_(self.parameters, 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad()


def task_loss(kind: str, scores: Tensor, labels: Tensor) -> Tensor:
    """The usual loss of a task."""
    if kind == "sst":
        return F.cross_entropy(scores, labels)
    if kind == "quora":
        return F.binary_cross_entropy_with_logits(scores[:, 0], labels.float())
    return F.mse_loss(scores[:, 0], labels)


def products(encoder: Any, tokens: int, last: int | None = None) -> float:
    """Operations in the matrix products of the linear layers for a step: forward, and twice that on the way back.

    Args:
        encoder: whose layers.
        tokens: which every layer meets.
        last: rows that the last layer meets; None: as many.
    """
    width, inner, layers = (
        getattr(encoder.config, n) for n in ("hidden_size", "intermediate_size", "num_hidden_layers")
    )
    layer = 4 * width * width + 2 * width * inner
    return 6.0 * layer * (tokens * (layers - 1) + (tokens if last is None else last))


def share(work: str, step: Callable[[], Any], encoder: Any, tokens: int, firsts: int | None = None) -> Row:
    """The share of the matrix peak: by the operations that a model of this size takes for so many tokens.

    Where only first tokens are read, the last layer does less, and what was really done is a smaller share: it is told
    beside.

    Args:
        work: what is done.
        step: does it.
        encoder: with which.
        tokens: of one lap.
        firsts: the sequences, where only their first tokens are read.
    """
    found = of_peak(f"train {work}", step, products(encoder, tokens), encoder.precision, 0.5)
    if firsts is not None and found.ratio is not None:
        done = products(encoder, tokens, firsts) / products(encoder, tokens)
        found.remark += f"; {found.ratio * done:.0%} counting what was done: the last layer reads first tokens only"
    return found


def together() -> Row:
    """The share of a step of all three tasks, pairs joint: what a stage of several tasks consists of."""
    texts = batches()
    step = stepper(Sum(), texts)
    rows = np.arange(BATCH)
    tokens = sum(len(texts[kind].batch(rows, forms_of(task(kind))).pack.ids) for kind in KINDS)
    encoder = model({"sst": task("sst")}).encoder
    return share(f"three tasks, {BATCH} rows of each a step", step, encoder, tokens, BATCH * len(KINDS))


def run(rounds: int = 3) -> list[Row]:
    """All works against both forms of the peer, then the share of the matrix peak.

    Freed memory is kept, as in `minbert.train`; for the whole process, so the peers gain by it too.
    """
    need("transformers")
    keep_memory()
    rows = []
    for work in works():
        mine = Ours(work)
        peers: dict[str, Callable[[], None]] = {
            "transformers": Theirs(work, best=False),
            "transformers, bf16, sorted": Theirs(work, best=True),
        }
        laps = race({"minbert": mine, **peers, "minbert, float32": Ours(work, torch.float32)}, rounds)
        count = len(work.rows)
        found = against(f"train {work.name}, batch {BATCH}", laps[:3], "rows", count, MUSTS)
        found += against(f"train {work.name}, float32", [laps[3], laps[1]], "rows", count)
        firsts = count if work.pooling == "cls" else None
        found.append(share(work.name, mine, mine.model.encoder, mine.tokens, firsts))
        console.print(f"{work.name}: " + ", ".join(f"{row.ratio:.2f}" for row in found))
        rows += found
    return [*rows, together()]
