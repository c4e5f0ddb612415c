"""Batches of the steps to come, packed and sent in a thread of their own while a device works on the one before.

On a processor that thread would take the time from the layers; there each batch is packed when its turn has come.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from minbert.text.batches import Batch
from minbert.training.plan import Slot

PLACES = ("cuda", "mps")
"""Kinds of device that work by themselves."""

WINDOW = 8
"""How many batches are made ready."""


class BatchesAhead:
    """Gives the batch of a slot, and has those of the slots behind it made meanwhile.

    Args:
        make: from a slot to its batch, on the device; a pure function, since another thread calls it.
        place: the kind of device.
    """

    def __init__(self, make: Callable[[Slot], Batch], place: str) -> None:
        self.make = make
        self.pool = ThreadPoolExecutor(1, "minbert-ahead") if place in PLACES else None
        self.slots: Sequence[Slot] = ()
        self.begun = 0
        self.coming: dict[int, Future[Batch]] = {}

    def follow(self, slots: Sequence[Slot]) -> None:
        """Says which slots come next, in their order; what was made ready and not asked for is forgotten."""
        self.slots, self.begun, self.coming = slots, 0, {}
        self._go_on()

    def __call__(self, slot: Slot) -> Batch:
        """The batch of a slot; one that was not announced is made now."""
        future = self.coming.pop(id(slot), None)
        self._go_on()
        return self.make(slot) if future is None else future.result()

    def _go_on(self) -> None:
        while self.pool and self.begun < len(self.slots) and len(self.coming) < WINDOW:
            slot = self.slots[self.begun]
            self.coming[id(slot)] = self.pool.submit(self.make, slot)
            self.begun += 1
