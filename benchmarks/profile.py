"""Where a training step of three tasks goes: the share of each kind of work, by torch's profiler."""

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.material import model, rows_of, task
from benchmarks.race import Row, matrix_peak, race, ratio
from benchmarks.surgery import BATCH, KINDS, stepper
from benchmarks.training import BATCHES, Ours, products, works
from minbert.encoder.hardware import keep_memory
from minbert.gradients import Sum
from minbert.optimizer import AdamW
from minbert.text.batches import texts_of

KINDS_OF_WORK = {
    "matrix products of linear layers": ("aten::mm", "aten::addmm", "mkldnn::_linear_pointwise"),
    "batched products of attention": ("aten::bmm", "aten::baddbmm"),
    "copies and casts": ("aten::copy_", "aten::_to_copy", "aten::index_select", "aten::index_copy_"),
    "GELU": ("aten::gelu", "aten::gelu_backward"),
    "softmax": ("aten::_softmax", "aten::_softmax_backward_data"),
    "norms": ("aten::native_layer_norm", "aten::native_layer_norm_backward"),
    "AdamW's kernel": ("aten::_fused_adamw_",),
}
STEPS, FADING = 4, 200


def run() -> list[Row]:
    """A row per kind of work, and what a step cannot be shorter than. Freed memory is kept, as in training."""
    keep_memory()
    tokenizer = model({"sst": task("sst")}).tokenizer
    texts = {kind: texts_of(list(zip(*rows_of(kind, BATCH), strict=True)), tokenizer) for kind in KINDS}
    step = stepper(Sum(), texts)
    step()
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        for _ in range(STEPS):
            step()
    times = {event.key: event.self_cpu_time_total for event in seen.key_averages()}
    whole = sum(times.values())
    shares = {name: sum(times.get(key, 0) for key in keys) / whole for name, keys in KINDS_OF_WORK.items()}
    shares["the rest: sums, masks, random bits, Python"] = 1 - sum(shares.values())
    return [*(Row(name, f"{share:.0%} of a step") for name, share in shares.items()), *bounds()]


def bounds() -> list[Row]:
    """What a step of 32 sentences of SST cannot be shorter than: its products at the matrix peak, and AdamW."""
    mine = Ours(next(work for work in works() if work.kind == "sst"))
    mine()
    encoder, optimizer = mine.model.encoder, mine.stepper.optimizer
    at_peak = products(encoder, mine.tokens) / BATCHES / matrix_peak(encoder.precision)
    for parameter in mine.model.parameters():
        parameter.grad = torch.ones_like(parameter)
    (lap,) = race({"AdamW": optimizer.step}, 9)
    weights = sum(parameter.numel() for parameter in mine.model.parameters()) / 1e6
    return [
        Row("products of a step of 32 sentences of SST, at the matrix peak", f"{at_peak * 1e3:.0f} ms"),
        Row(
            f"AdamW alone, {weights:.1f} M weights",
            f"{lap.median * 1e3:.0f} ms",
            remark=f"a step of these two alone: {at_peak / (at_peak + lap.median):.2f} of the matrix peak",
        ),
        faded(),
    ]


def faded() -> Row:
    """AdamW over a table of words none of which has come for a long time, against torch's.

    Its average of gradients fades by a tenth a step: from 1e-27, where it is after some 500 steps, below what float32
    holds in full.
    """
    tables = [torch.nn.Parameter(torch.ones(30522, 384)) for _ in range(2)]
    ours, theirs = AdamW([tables[0]], lr=1e-4), torch.optim.AdamW([tables[1]], lr=1e-4, fused=True)
    for table, optimizer, name in ((tables[0], ours, "m"), (tables[1], theirs, "exp_avg")):
        table.grad = torch.zeros_like(table)
        optimizer.step()
        optimizer.state[table][name].fill_(1e-27)
        for _ in range(FADING):
            optimizer.step()
    mine, peer = race({"minbert": ours.step, "torch": theirs.step}, 9)
    name = "AdamW over 30,522 words that have not come for 700 steps"
    return Row(name, f"{mine.median * 1e3:.0f} ms", f"torch, fused: {peer.median * 1e3:.0f} ms", ratio(peer, mine))
