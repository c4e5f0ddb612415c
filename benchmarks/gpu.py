"""Tokens a second and share of the matrix rate on an accelerator, against transformers; random weights do for speed.

Runs anywhere: without an accelerator it takes the processor and the smallest sizes, to show that it works.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.material import need
from benchmarks.race import Row, console, race, ratio
from minbert.encoder import Bert, BertConfig, choice
from minbert.optimizer import AdamW
from minbert.text.packed import pack
from minbert.text.tokenizer import Tokens

VOCABULARY = 30522


@dataclass(frozen=True)
class Size:
    """An encoder and the batches that it is fed."""

    name: str
    layers: int
    width: int
    batches: tuple[int, ...]

    @property
    def config(self) -> BertConfig:
        return BertConfig(
            vocab_size=VOCABULARY, hidden_size=self.width, num_hidden_layers=self.layers,
            num_attention_heads=self.width // 32, intermediate_size=4 * self.width,
        )  # fmt: skip


SIZES = (Size("MiniLM-L6", 6, 384, (32, 1024)), Size("BERT-base", 12, 768, (32, 1024)))
MUSTS = {32: 3.0, 1024: 1.7}
"""How many times as fast as padded batches a training step has to be, by its sequences, on an accelerator."""
SMALL = (Size("2 x 64", 2, 64, (4, 8)),)


def lengths(count: int, seed: int = 0) -> list[int]:
    """Lengths as sentence pairs have them: 32 tokens on average, a long tail."""
    drawn = np.random.default_rng(seed).gamma(4.0, 8.0, count)
    return np.clip(drawn, 6, 256).astype(int).tolist()


@dataclass(frozen=True)
class Work:
    """What is done with a batch, and how many times a forward pass's operations that takes."""

    name: str
    passes: int

    def of(self, module: nn.Module, optimizer: Any, forward: Callable[[], Tensor]) -> Callable[[], None]:
        """Forward, and in training backward and optimizer too; then waiting for the device."""
        module.train(self.passes > 1)

        def work() -> None:
            if self.passes > 1:
                forward().square().mean().backward()
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
            else:
                with torch.inference_mode():
                    forward()
            if torch.cuda.is_available():
                torch.cuda.synchronize()

        return work


WORKS = (Work("train", 3), Work("embed", 1))


def ours(work: Work, size: Size, sequences: list[Tokens], device: torch.device) -> Callable[[], None]:
    """minbert's packed batch in bfloat16."""
    bert = Bert(size.config).to(device)
    bert.precision = torch.bfloat16
    packed = pack(sequences).to(device)
    return work.of(bert, AdamW(bert.parameters(), lr=1e-5), lambda: bert.vectors(packed, "mean"))


def theirs(
    work: Work, size: Size, sequences: list[Tokens], device: torch.device, by_length: bool
) -> Callable[[], None]:
    """transformers' BertModel: SDPA, bfloat16 autocast, fused AdamW; padded as it comes, or sorted into four."""
    from transformers import BertConfig as TheirConfig
    from transformers import BertModel

    bert = BertModel(TheirConfig(**size.config.model_dump(), attn_implementation="sdpa")).to(device)
    parts = [sequences]
    if by_length:
        ordered = sorted(sequences, key=lambda tokens: len(tokens.ids))
        quarter = max(1, len(ordered) // 4)
        parts = [ordered[start : start + quarter] for start in range(0, len(ordered), quarter)]
    batches = [_padded(part, device) for part in parts]

    def forward() -> Tensor:
        with torch.autocast(device.type, torch.bfloat16):
            found = []
            for ids, mask in batches:
                hidden = bert(input_ids=ids, attention_mask=mask).last_hidden_state
                found.append((hidden * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True))
            return torch.cat(found).float()

    return work.of(bert, torch.optim.AdamW(bert.parameters(), lr=1e-5, fused=True), forward)


def _padded(sequences: list[Tokens], device: torch.device) -> tuple[Tensor, Tensor]:
    longest = max(len(tokens.ids) for tokens in sequences)
    ids, mask = torch.zeros(len(sequences), longest, dtype=torch.long), torch.zeros(len(sequences), longest)
    for row, tokens in enumerate(sequences):
        ids[row, : len(tokens.ids)], mask[row, : len(tokens.ids)] = torch.from_numpy(tokens.ids), 1
    return ids.to(device), mask.to(device)


def matrix_rate(device: torch.device, side: int) -> float:
    """The rate of a large bfloat16 product on the device, in operations a second."""
    left = torch.ones(side, side, dtype=torch.bfloat16, device=device)

    def product() -> None:
        left @ left
        if device.type == "cuda":
            torch.cuda.synchronize()

    (lap,) = race({"product": product}, 10, warm=3)
    return 2 * side**3 / min(lap.seconds)


def run(rounds: int = 7, warm: int = 3) -> list[Row]:
    """All sizes and batches against both forms of the peer."""
    need("transformers")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    sizes = SIZES if device.type == "cuda" else SMALL
    rate = matrix_rate(device, 8192 if device.type == "cuda" else 256)
    console.print(f"{device}: large bfloat16 product {rate / 1e12:.1f} TFLOP/s")
    rows = []
    for size in sizes:
        console.print(choice(device, torch.bfloat16, size.config))
        for batch in size.batches:
            rng = np.random.default_rng(batch)
            sequences = [Tokens(rng.integers(1000, VOCABULARY, n), np.zeros(n, dtype=np.int64)) for n in lengths(batch)]
            for work in WORKS:
                rows += raced(work, size, sequences, device, rate, rounds, warm)
    return rows


def raced(
    work: Work, size: Size, sequences: list[Tokens], device: torch.device, rate: float, rounds: int, warm: int
) -> list[Row]:
    """One work on one batch, against both forms of the peer."""
    tokens = sum(len(one.ids) for one in sequences)
    mine, *peers = race(
        {
            "minbert": ours(work, size, sequences, device),
            "transformers": theirs(work, size, sequences, device, False),
            "transformers, by length": theirs(work, size, sequences, device, True),
        },
        rounds,
        warm,
    )
    share = 2 * work.passes * tokens * 12 * size.layers * size.width**2 / mine.median / rate
    return [
        Row(
            f"{work.name}: {size.name}, {len(sequences)} sequences, {tokens:,} tokens",
            f"{tokens / mine.median:,.0f} tokens/s ({share:.0%} of the matrix rate)",
            f"{peer.name}: {tokens / peer.median:,.0f} tokens/s",
            ratio(peer, mine),
            MUSTS.get(len(sequences)) if peer is peers[0] and work.passes > 1 and device.type == "cuda" else None,
        )
        for peer in peers
    ]
