"""Batches that are made ready in another thread are those that would have been made."""

import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.conftest import toy_table

from minbert import train
from minbert.recipe import check_recipe
from minbert.text.batches import Batch, Forms
from minbert.text.packed import pack
from minbert.text.tokenizer import Tokens
from minbert.training import ahead
from minbert.training.ahead import WINDOW, BatchesAhead
from minbert.training.plan import Slot


def slots(count: int) -> list[Slot]:
    return [Slot("t", np.arange(number, number + 2)) for number in range(count)]


def batch_of(slot: Slot) -> Batch:
    packed = pack([Tokens(slot.rows, np.zeros_like(slot.rows))])
    return Batch(packed, Forms(whole=True, apart=False), None, slot.rows, torch.zeros(2, 1))


def test_each_slot_gets_its_own_batch_once_in_whatever_order_and_from_the_other_thread() -> None:
    made: list[tuple[int, str]] = []

    def make(slot: Slot) -> Batch:
        made.append((int(slot.rows[0]), threading.current_thread().name))
        return batch_of(slot)

    batches, coming = BatchesAhead(make, "cuda"), slots(20)
    batches.follow(coming)
    for first, second in zip(coming[::2], coming[1::2], strict=True):
        for slot in (second, first):
            assert batches(slot).rows is slot.rows
    assert sorted(number for number, _ in made) == list(range(20))
    assert all(name.startswith("minbert-ahead") for _, name in made)


def test_no_more_than_a_window_is_ready_and_what_was_not_announced_is_made_at_once() -> None:
    made: list[int] = []

    def make(slot: Slot) -> Batch:
        made.append(int(slot.rows[0]))
        return batch_of(slot)

    batches, coming = BatchesAhead(make, "cuda"), slots(30)
    batches.follow(coming)
    other = Slot("t", np.arange(100, 102))
    assert batches(other).rows is other.rows
    assert batches(coming[0]).rows is coming[0].rows
    assert len(batches.coming) == WINDOW
    batches.follow(coming[5:7])
    assert batches(coming[5]).rows is coming[5].rows and len(batches.coming) == 1


def test_on_a_processor_nothing_is_made_before_its_turn() -> None:
    batches, coming = BatchesAhead(batch_of, "cpu"), slots(3)
    batches.follow(coming)
    assert batches.coming == {} and batches(coming[1]).rows is coming[1].rows


def test_what_fails_in_the_other_thread_fails_here() -> None:
    def make(slot: Slot) -> Batch:
        raise ValueError("no such row")

    batches, coming = BatchesAhead(make, "cuda"), slots(3)
    batches.follow(coming)
    with pytest.raises(ValueError, match="no such row"):
        batches(coming[0])


@pytest.mark.parametrize("merge", ["sum", "pcgrad"])
def test_a_run_is_the_same_to_the_bit(
    merge: str, tiny_bert: Path, toy_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = {"merge": merge, "mixture": "round_robin", "batches_per_step": 3, "epochs": 2}
    found = []
    for places in ((), ("cpu",)):
        monkeypatch.setattr(ahead, "PLACES", places)
        folder = tmp_path / f"{len(places)}"
        train(check_recipe(toy_table(tiny_bert, **stage), toy_data), folder, with_floors=False)
        found.append([(folder / name).read_bytes() for name in ("best/encoder/model.safetensors", "metrics.jsonl")])
    assert found[0] == found[1]
