"""One seed, many named generators.

Every random choice is a pure function of (seed, names): no generator lives on from step to step, so a run that was
killed goes on exactly, and arms with one seed share batches, initial heads and dropout masks.
"""

import hashlib

import torch


def derive(seed: int, *names: str | int) -> int:
    """A 63-bit seed for the stream that the names stand for: the first 8 bytes of SHA-256 over seed and names."""
    text = "\x1f".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *names: str | int) -> torch.Generator:
    """A fresh CPU generator for the stream that the names stand for."""
    return torch.Generator().manual_seed(derive(seed, *names))
