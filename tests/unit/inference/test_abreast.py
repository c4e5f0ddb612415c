"""Packs abreast: the same numbers as one after the other, nothing lost, nothing left running."""

from collections.abc import Iterator
from pathlib import Path
from threading import Thread, current_thread

import numpy as np
import pytest
import torch

from minbert.inference import load_encoder
from minbert.inference.abreast import each
from minbert.inference.encoder import Precision

CPU = torch.device("cpu")


@pytest.fixture
def threads() -> Iterator[int]:
    """Two threads, whatever the other tests have."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield 2
    torch.set_num_threads(before)


def test_every_pack_is_done_once_in_threads_of_one_thread_each(threads: int) -> None:
    packs = [np.arange(n, n + 3) for n in range(0, 60, 3)]
    seen: dict[int, tuple[str, int, bool]] = {}

    def work(rows: np.ndarray) -> int:
        seen[int(rows[0])] = (current_thread().name, torch.get_num_threads(), torch.is_inference_mode_enabled())
        return len(rows)

    assert sum(each(packs, work, CPU)) == 60
    assert sorted(seen) == list(range(0, 60, 3))
    assert all(name.startswith("minbert") and (count, mode) == (1, True) for name, count, mode in seen.values())
    # Fewer packs than threads are better worked on by all threads, and so is one after the other on another device.
    for few, device in ((packs[:1], CPU), (packs, torch.device("meta"))):
        assert sum(each(few, work, device)) == 3 * len(few)
        assert all(seen[int(rows[0])] == (current_thread().name, threads, True) for rows in few)
    # The caller has the threads that it had, and so have those that are begun later.
    later: list[int] = []
    thread = Thread(target=lambda: later.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert later == [torch.get_num_threads()] == [threads]


@pytest.mark.parametrize("device", [CPU, torch.device("meta")])
def test_a_fault_comes_through_and_nothing_runs_behind_it(threads: int, device: torch.device) -> None:
    packs, done = [np.array([n]) for n in range(200)], []

    def work(rows: np.ndarray) -> int:
        if rows[0] == 190:
            raise MemoryError("too long")
        done.append(int(rows[0]))
        return 1

    with pytest.raises(MemoryError, match="too long"):
        list(each(packs, work, device))
    before = len(done)
    assert list(each(packs[:1], lambda rows: 7, device)) == [7]
    assert len(done) == before


def test_who_stops_listening_stops_the_work(threads: int) -> None:
    packs, done, matrix = [np.array([n]) for n in range(2000)], [], torch.ones(512, 512)

    def work(rows: np.ndarray) -> int:
        done.append(float((matrix @ matrix)[0, 0]))
        return 1

    heard = each(packs, work, CPU)
    assert [next(heard), next(heard)] == [1, 1]
    heard.close()  # type: ignore[attr-defined]
    before = len(done)
    assert list(each(packs[:1], lambda rows: 7, CPU)) == [7]
    assert 2 <= len(done) == before < 1000


@pytest.mark.parametrize(("precision", "near"), [("float32", 1e-6), ("bfloat16", 0.02)])
def test_vectors_are_those_of_one_pack_after_the_other(
    threads: int, tiny_bert: Path, precision: Precision, near: float
) -> None:
    tiny = load_encoder(tiny_bert, device="cpu")
    words = ["a good film", "bad food", "the cat is in the house", "how do i do it with you", "it was not for me"]
    texts = [f"{words[n % 5]} {words[n // 5 % 5]} {n}" for n in range(400)]
    heard: list[int] = []
    found = tiny.embed(texts, precision=precision, advance=heard.append)
    torch.set_num_threads(1)
    alone: list[int] = []
    np.testing.assert_allclose(found, tiny.embed(texts, precision=precision, advance=alone.append), atol=near)
    assert len(heard) > 2 and sorted(heard) == sorted(alone)
