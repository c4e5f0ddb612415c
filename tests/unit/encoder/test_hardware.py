"""What the work runs on, and how the precision is chosen."""

import json
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from minbert.encoder import choose_precision, device_of, environment, hardware, peak_memory
from minbert.errors import RunError

CPU = torch.device("cpu")


def test_a_named_precision_is_taken_at_its_word() -> None:
    assert choose_precision("float32", CPU) == torch.float32
    assert choose_precision("bfloat16", CPU) == torch.bfloat16


@pytest.mark.parametrize(("gain", "chosen"), [(0.5, torch.float32), (1.1, torch.float32), (2.0, torch.bfloat16)])
def test_auto_takes_bfloat16_where_it_pays(monkeypatch: pytest.MonkeyPatch, gain: float, chosen: torch.dtype) -> None:
    monkeypatch.setattr(hardware, "_gain", lambda: gain)
    assert choose_precision("auto", CPU) == chosen


@pytest.mark.parametrize(("able", "chosen"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_asks_a_gpu_and_does_not_time_it(monkeypatch: pytest.MonkeyPatch, able: bool, chosen: torch.dtype) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: able)
    monkeypatch.delattr(hardware, "_gain")
    assert choose_precision("auto", torch.device("cuda")) == chosen
    assert choose_precision("auto", torch.device("mps")) == torch.float32


def test_auto_measures_this_machine() -> None:
    assert choose_precision("auto", CPU) in (torch.float32, torch.bfloat16)


@pytest.mark.parametrize(("there", "kind"), [(True, "cuda"), (False, "cpu")])
def test_the_device_is_a_gpu_if_there_is_one(monkeypatch: pytest.MonkeyPatch, there: bool, kind: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert device_of("auto").type == kind and device_of("cpu") == CPU
    if there:
        assert device_of("cuda:1") == torch.device("cuda", 1)
    else:
        with pytest.raises(RunError, match="expected one that this machine has, found 'cuda:1'"):
            device_of("cuda:1")


def test_the_environment_says_what_a_result_depends_on() -> None:
    found = environment(CPU, torch.bfloat16)
    assert json.loads(json.dumps(found)) == found
    assert found["device"] == "cpu" and found["precision"] == "bfloat16" and found["torch"] == torch.__version__
    assert found["threads"] == torch.get_num_threads() and found["processor"]
    assert {"python", "numpy", "tokenizers", "safetensors"} <= found.keys()


@pytest.mark.parametrize(
    ("processor", "slow"),
    [("AMD EPYC 9654", True), ("Hygon C86 7185", True), ("Intel(R) Xeon(R) Processor", False), ("", False)],
)
def test_mkl_is_slow_on_processors_that_are_not_its_makers(
    monkeypatch: pytest.MonkeyPatch, processor: str, slow: bool
) -> None:
    monkeypatch.setattr(hardware, "_processor", lambda: processor)
    for there in (True, False):
        monkeypatch.setattr(torch.backends.mkl, "is_available", lambda there=there: there)
        assert hardware.has_slow_products.__wrapped__() is (slow and there)


def test_the_peak_is_a_programs_own_and_not_its_starters() -> None:
    held = np.ones(900 << 17)
    assert peak_memory() > 900 and len(held)
    ask = [sys.executable, "-c", "from minbert.encoder import peak_memory; print(peak_memory())"]
    told = subprocess.run(ask, check=True, capture_output=True, text=True)
    assert 50 < int(told.stdout) < 900


@pytest.mark.parametrize(("system", "peak"), [("darwin", 3), ("linux", 3072)])
def test_the_peak_where_only_the_system_tells_it(monkeypatch: pytest.MonkeyPatch, system: str, peak: int) -> None:
    def no_such_file(*_: object, **__: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(hardware, "open", no_such_file, raising=False)
    monkeypatch.setattr(hardware.sys, "platform", system)
    monkeypatch.setattr(hardware.resource, "getrusage", lambda _: SimpleNamespace(ru_maxrss=3 << 20))
    assert peak_memory() == peak
