"""Packs abreast: without gradients, each thread of a processor works on a pack of its own.

Threads that share every operation wait for each other thousands of times a second, and all but one of them whenever an
operation is too small to share. A pack alone on a thread takes the same operations, to the same numbers.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from threading import Barrier

import numpy as np
import numpy.typing as npt
import torch

Rows = npt.NDArray[np.int64]


def each(packs: Sequence[Rows], work: Callable[[Rows], int], device: torch.device) -> Iterator[int]:
    """Does the work of each pack, without gradients; yields what it returns, pack by pack.

    Args:
        packs: row numbers.
        work: on one pack. On a processor, and where each thread gets one at least, it runs in threads of its own.
        device: where the work is done.
    """

    def done(rows: Rows) -> int:
        # A thread of its own knows nothing of the mode that the caller is in.
        with torch.inference_mode():
            return work(rows)

    threads = torch.get_num_threads() if device.type == "cpu" else 1
    if threads == 1 or len(packs) < threads:
        yield from map(done, packs)
        return
    crew = _crew(os.getpid(), threads)
    # The longest sequences first, so that what is left at the end is short.
    futures = [crew.submit(done, pack) for pack in reversed(packs)]
    try:
        for future in futures:
            yield future.result()
    finally:
        # Where one fails, or nobody listens any more, no other is begun, and none goes on behind the caller's back.
        for future in futures:
            future.cancel()
        wait(futures)


@cache
def _crew(process: int, threads: int) -> ThreadPoolExecutor:
    """So many threads for which torch has one thread each; made once a process, since a fork has none of them."""
    begun = Barrier(threads + 1)

    def begin() -> None:
        # torch gives a new thread the number that holds at its first question; what is set before would be lost.
        torch.get_num_threads()
        torch.set_num_threads(1)
        begun.wait()

    pool = ThreadPoolExecutor(threads, "minbert", begin)
    for _ in range(threads):
        pool.submit(int)
    begun.wait()
    # They set it for themselves, and for threads to come.
    torch.set_num_threads(threads)
    return pool
