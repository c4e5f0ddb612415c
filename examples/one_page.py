"""One small BERT, three tasks, a head and a loss for each, one step for all. python examples/one_page.py [steps]"""

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
enc, first = minbert.load_encoder("minilm", device="cpu"), torch.Generator()
heads = torch.nn.ModuleDict({t: start(h.build(enc.encoder.width, n), first) for t, (h, n, *_) in TASKS.items()})
model = torch.nn.ModuleList([enc.encoder, heads]).train()  # with dropout


def read(task: str, split: str) -> list[Row]:
    text = (files("minbert") / "demo" / f"{task}-{split}.csv").read_text("utf-8")
    return [(texts, float({"no": 0, "yes": 1}.get(y, y))) for *texts, y in list(csv.reader(text.splitlines()))[1:]]


def outputs(task: str, rows: list[list[str]]) -> Outputs:
    """Ids of each text, all in one pack without padding, one vector per text, then the task's head."""
    table = enc.tokenizer.table([text for column in zip(*rows, strict=True) for text in column])
    packed = pack([enc.tokenizer.sequence(table[i]) for i in range(len(table))])
    return heads[task](*enc.encoder.vectors(packed, "mean").split(len(rows)))


def loss_of(task: str, rows: list[Row]) -> torch.Tensor:
    _, n, loss, high = TASKS[task]
    labels = torch.tensor([label for _, label in rows], dtype=torch.long if n > 1 else torch.float)
    return loss(outputs(task, [texts for texts, _ in rows]), Targets(labels, 0, high, torch.empty(0)))


train = {task: read(task, "train") for task in TASKS}
optimizer = minbert.AdamW(
    [{"params": list(enc.encoder.parameters()), "lr": 1e-4}, {"params": list(heads.parameters()), "lr": 2e-3}]
)
for step in range(1, steps + 1):
    losses = {task: loss_of(task, random.Random(step).sample(rows, batch)) for task, rows in train.items()}
    sum(losses.values()).backward()  # the sum over tasks is all that "multi-task" means here
    optimizer.step()
    optimizer.zero_grad()
    print(f"step {step}:", "  ".join(f"{task} {loss.item():.3f}" for task, loss in losses.items()))
model.eval()
with torch.no_grad():
    for task in TASKS:
        texts, label = read(task, "dev")[0]
        print(f"{task}: {texts} -> {outputs(task, [texts]).scores[0].tolist()} (label {label:g})")
