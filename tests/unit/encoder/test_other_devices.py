"""On a device that is neither a processor nor CUDA (a Mac's GPU): plain operations, no float64, nothing sparse.

Such a device is seldom there. Tensors without content (`meta`) stand for one: the code takes the same ways, and every
operation on them is seen.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.conftest import toy_table
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from minbert import train
from minbert.encoder import Bert, BertConfig, Encoder, Mpnet, MpnetConfig, device_of
from minbert.encoder import attention as attention_module
from minbert.encoder import norm as norm_module
from minbert.encoder.bert import fresh
from minbert.errors import RunError
from minbert.optimizer import AdamW
from minbert.recipe import check_recipe
from minbert.text.packed import Packed, pack
from minbert.text.tokenizer import Tokens
from minbert.training.step import Stepper

SIZES: dict[str, Any] = dict(
    vocab_size=30, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24
)
MODELS: list[Callable[[], Encoder]] = [lambda: Bert(BertConfig(**SIZES)), lambda: Mpnet(MpnetConfig(**SIZES))]
OWN = ("baddbmm", "mkldnn", "fused", ".out")
"""What minbert asks for by name on a processor: products, kernels, and results in memory that is there already."""


class Seen(TorchDispatchMode):
    """Notes every operation, and the types and layouts of what it makes on one kind of device."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.operations: set[str] = set()
        self.faults: set[str] = set()

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = operation(*args, **(kwargs or {}))
        for made in result if isinstance(result, tuple | list) else [result]:
            if isinstance(made, Tensor) and made.device.type == self.kind:
                self.operations.add(str(operation))
                if made.dtype == torch.float64 or made.layout != torch.strided:
                    self.faults.add(f"{operation}: {made.dtype}, {made.layout}")
        return result


class Anywhere(torch.Generator):
    """A processor's generator, whatever device it is asked for: there is none for `meta`."""

    def __new__(cls, device: Any = None) -> "Anywhere":
        return super().__new__(cls)


def packed() -> Packed:
    rng = np.random.default_rng(0)
    return pack([Tokens(rng.integers(5, 30, n), np.zeros(n, dtype=np.int64)) for n in (3, 5, 9, 30, 40)])


@pytest.mark.parametrize("model", MODELS, ids=["bert", "mpnet"])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_a_step_elsewhere_uses_plain_operations(
    model: Callable[[], Encoder], precision: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "Generator", Anywhere)
    encoder = model().to("meta").train()
    encoder.precision = precision
    optimizer = AdamW(encoder.parameters())
    batch = packed().to("meta")
    with Seen("meta") as seen:
        vectors = encoder.vectors_of([batch, batch], [("mean",), ("cls",)], [1, 2])
        torch.cat([one for found in vectors for one in found]).sum().backward()
        optimizer.step()
        with torch.inference_mode():
            encoder.eval().vectors(batch, "pooler")
    assert seen.faults == set() and len(seen.operations) > 40
    assert not [name for name in seen.operations if any(own in name for own in OWN)]


@pytest.mark.parametrize("model", MODELS, ids=["bert", "mpnet"])
@pytest.mark.parametrize("how", ["mean", "cls"])
def test_the_plain_ways_give_the_same(model: Callable[[], Encoder], how: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = model().train()
    fresh(encoder, 0.3, torch.Generator().manual_seed(0))

    def run() -> list[Tensor]:
        ((vectors,),) = encoder.vectors_of([packed()], [(how,)], [7])
        used = [parameter for parameter in encoder.parameters()]
        rng = torch.Generator().manual_seed(1)
        grads = torch.autograd.grad(
            (vectors * torch.randn(vectors.shape, generator=rng)).sum(), used, allow_unused=True
        )
        return [vectors.detach(), *(grad.to_dense() for grad in grads if grad is not None)]

    own = run()
    for module in (attention_module, norm_module):
        monkeypatch.setattr(module, "OWN_WAYS", ())
    for mine, plain in zip(own, run(), strict=True):
        torch.testing.assert_close(mine, plain, rtol=1e-4, atol=1e-5)


def test_a_whole_step_makes_nothing_in_float64(
    tiny_bert: Path, toy_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, faults = Stepper.__call__, set()

    def seen(self: Stepper, number: int, *given: Any) -> Any:
        if number:
            return step(self, number, *given)
        with Seen("cpu") as noted:
            result = step(self, number, *given)
        faults.update(fault for fault in noted.faults if "float64" in fault)
        assert len(noted.operations) > 60
        return result

    monkeypatch.setattr(Stepper, "__call__", seen)
    train(check_recipe(toy_table(tiny_bert, epochs=1), toy_data), tmp_path / "run", with_floors=False)
    assert faults == set()


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(RunError, match="expected one that this machine has, found 'mps'; say auto, or cpu"):
        device_of("mps")
    with pytest.raises(RunError, match="expected auto, cpu, cuda or mps, found 'gpu'"):
        device_of("gpu")


@pytest.mark.parametrize(("cuda", "kind"), [(True, "cuda"), (False, "mps")])
def test_auto_takes_a_gpu_before_a_macs(cuda: bool, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert device_of("auto").type == kind
