"""What a snapshot keeps comes back as it was."""

from pathlib import Path

import torch

from minbert.inference import load_encoder
from minbert.model import MultiTaskModel
from minbert.optimizer import AdamW
from minbert.training.snapshot import Place, load_memories, save_snapshot


def test_tensors_come_back_to_where_products_are_the_same(tiny_bert: Path, tmp_path: Path) -> None:
    """On an address that is no multiple of a register the last bit of a product may be another."""
    loaded = load_encoder(tiny_bert, device="cpu")
    model = MultiTaskModel(loaded.encoder, loaded.tokenizer, {})
    kept = {f"w{size}": torch.arange(float(size)) for size in (1, 7, 64, 3)}
    save_snapshot(tmp_path, Place(), model, None, {"bregman": {**kept, "steps": 5}})
    found = load_memories(tmp_path, model, AdamW([torch.zeros(1, requires_grad=True)]))["bregman"]
    assert found.pop("steps") == 5
    assert all(torch.equal(found[name], tensor) and found[name].data_ptr() % 64 == 0 for name, tensor in kept.items())
