"""The whole idea on one page: one small BERT, three tasks, a head and a loss for each, one step for all.

Usage: python examples/one_page.py [steps]
"""

import csv
import random
import sys
from importlib.resources import files

import torch

import minbert
from minbert.heads import Cosine, Difference, Linear, start
from minbert.losses import BinaryCrossEntropy, CrossEntropy, SquaredError, Targets
from minbert.outputs import Outputs
from minbert.text.packed import pack

Row = tuple[list[str], float]  # one text or two, and the label
TASKS = {  # by file: head, its outputs, loss, highest label
    "sentiment": (Linear(), 5, CrossEntropy(), 4),
    "questions": (Difference(), 1, BinaryCrossEntropy(), 1),
    "sentences": (Cosine(), 1, SquaredError(), 5),
}
steps, batch = int(sys.argv[1]) if len(sys.argv) > 1 else 25, 8
random.seed(0)
torch.manual_seed(0)
enc = minbert.load_encoder("minilm", device="cpu")
rng = torch.Generator().manual_seed(0)
heads = torch.nn.ModuleDict({t: start(head.build(enc.encoder.width, n), rng) for t, (head, n, *_) in TASKS.items()})


def read(task: str, split: str) -> list[Row]:
    text = (files("minbert") / "demo" / f"{task}-{split}.csv").read_text("utf-8")
    return [(texts, float({"no": 0, "yes": 1}.get(y, y))) for *texts, y in list(csv.reader(text.splitlines()))[1:]]


def outputs(task: str, rows: list[list[str]]) -> Outputs:
    """Ids of each text, all in one pack without padding, one vector per text, then the task's head."""
    table = enc.tokenizer.table([text for column in zip(*rows, strict=True) for text in column])
    packed = pack([enc.tokenizer.sequence(table[i]) for i in range(len(table))])
    return heads[task](*enc.encoder.vectors(packed, "mean").split(len(rows)))


def losses(rows: dict[str, list[Row]]) -> dict[str, torch.Tensor]:
    found = {}
    for task, (_, n, loss, high) in TASKS.items():
        labels = torch.tensor([y for _, y in rows[task]], dtype=torch.long if n > 1 else torch.float)
        found[task] = loss(outputs(task, [t for t, _ in rows[task]]), Targets(labels, 0, high, torch.empty(0)))
    return found


def report(step):
    enc.encoder.eval(); heads.eval()
    with torch.no_grad():
        print(step, {t: round(l.item(),3) for t,l in losses(dev).items()})
    enc.encoder.train(); heads.train()


train, dev = {t: read(t, "train") for t in TASKS}, {t: read(t, "dev")[:48] for t in TASKS}
optimizer = minbert.AdamW([{"params": list(enc.encoder.parameters()), "lr": 1e-4}, {"params": list(heads.parameters()), "lr": 2e-3}])
report(0)
for step in range(1, steps + 1):
    sum(losses({t: random.sample(rows, batch) for t, rows in train.items()}).values()).backward()
    optimizer.step()
    optimizer.zero_grad()
    if step % 5==0: report(step)
