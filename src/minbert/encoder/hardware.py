"""What the work runs on: device, precision, threads."""

import ctypes
import os
import platform
import resource
import sys
import time
from functools import cache
from importlib.metadata import version
from typing import Any

import torch

from minbert.errors import RunError

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
OWN_WAYS = ("cpu", "cuda")
"""Kinds of device on which own ways back were run; on others (`mps`) torch makes them, of plain operations."""

GAIN = 1.2
"""bfloat16 is chosen where it makes a matrix product this many times faster."""


def device_of(name: str) -> torch.device:
    """The device that a name stands for; `auto` is a GPU if there is one, else a Mac's, else the processor.

    Raises:
        RunError: no kind of device, or one that the machine has not got.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next((kind for kind, found in there.items() if found), "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as fault:
        raise RunError(f"device: expected auto, cpu, cuda or mps, found {name!r}") from fault
    if not there.get(device.type, True):
        raise RunError(f"device: expected one that this machine has, found {name!r}; say auto, or cpu")
    return device


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """The precision that a name stands for; `auto` times a product of the size that a small BERT computes.

    Args:
        name: `auto`, `float32` or `bfloat16`.
        device: where it will run. A GPU that has bfloat16 is not timed; a Mac's computes in float32 unless it is told.
    """
    if name != "auto":
        return PRECISIONS[name]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    if device.type != "cpu":
        return torch.float32
    return torch.bfloat16 if _gain() > GAIN else torch.float32


@cache
def _gain() -> float:
    """How many times as fast this processor is in bfloat16; timed once a process."""
    return _seconds(torch.float32) / _seconds(torch.bfloat16)


def _seconds(dtype: torch.dtype, repeats: int = 5) -> float:
    """The shortest of a few timings of one feed-forward product."""
    left, right = torch.ones(768, 384, dtype=dtype), torch.ones(384, 1536, dtype=dtype)
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        left @ right
        times.append(time.perf_counter() - begin)
    return min(times)


@cache
def has_tiles() -> bool:
    """Whether this processor multiplies tiles of matrices (AMX), and torch knows."""
    supported = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return bool(supported and supported())


@cache
def has_slow_products() -> bool:
    """Whether torch's float32 products are slow: MKL's, which keeps its fastest kernels for Intel's processors."""
    return torch.backends.mkl.is_available() and any(maker in _processor().lower() for maker in ("amd", "hygon"))


TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""What `mallopt` of the GNU C library calls them (malloc.h)."""

KEPT, HEAP = 2**31 - 1, 2**25
"""Bytes: what may lie free before it goes back to the system, and the largest piece that can come from it."""


def keep_memory() -> bool:
    """Tells the C library to keep freed memory, for the whole process; where it is GNU's, and not told already.

    A step frees all that it kept for its way back. Given back to the system, that memory comes anew for the next step,
    page by page and filled with zeros: some 25,000 pages for 128 pairs, a twentieth of the time. The peak is the same.

    Returns:
        Whether that was done.
    """
    told = any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ)
    if told or not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    # Other C libraries have no such function, or one that answers 0: nothing was changed.
    return bool(mallopt and mallopt(TRIM_THRESHOLD, KEPT) and mallopt(MMAP_THRESHOLD, HEAP))


def peak_memory() -> int:
    """The most MiB that this program has held.

    Where Linux tells: what it calls `ru_maxrss` begins with what the process held that started this program.
    """
    try:
        with open("/proc/self/status", encoding="utf-8") as lines:
            held = [int(line.split()[1]) for line in lines if line.startswith("VmHWM:")]
    except OSError:
        held = []
    # Elsewhere in KiB, on a Mac in bytes.
    unit = 20 if sys.platform == "darwin" else 10
    return held[0] >> 10 if held else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> unit


def environment(device: torch.device, precision: torch.dtype) -> dict[str, Any]:
    """What a result depends on besides recipe and data: versions, processor, threads, device, precision."""
    libraries = ("torch", "numpy", "tokenizers", "safetensors", "scikit-learn", "scipy")
    return {
        "python": platform.python_version(),
        **{library: version(library) for library in libraries},
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "precision": str(precision).removeprefix("torch."),
    }


def _processor() -> str:
    """The processor's own name, where the system tells it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()
