"""The optimizer's memory shared out over the processes: each moves its share of the weights, and sends them round.

Source: Rajbhandari et al. 2020, "ZeRO: Memory Optimizations Toward Training Trillion Parameter Models", stage 1.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

import minbert.distributed as distributed
from minbert.optimizer import AdamW


class Shards:
    """One optimizer on several processes, each of which holds the moving averages of its own parameters only.

    Exact: a weight's step depends on nothing but the weight, its gradient and its averages.

    Args:
        optimizer: over all parameters, in every process.
        parameters: those that are trained, in the same order in every process.
    """

    def __init__(self, optimizer: AdamW, parameters: Sequence[nn.Parameter]) -> None:
        self.optimizer, self.parameters = optimizer, list(parameters)
        self.owners = distributed.owners([parameter.numel() for parameter in self.parameters])

    def step(self) -> None:
        """Moves the weights that have a gradient, the same in all processes."""
        moved = [(p, owner) for p, owner in zip(self.parameters, self.owners, strict=True) if p.grad is not None]
        for parameter, owner in moved:
            if owner != distributed.rank():
                parameter.grad = None
        self.optimizer.step()
        with torch.no_grad():
            distributed.spread([parameter for parameter, _ in moved], [owner for _, owner in moved])

    def drop(self) -> None:
        """Forgets the averages that other processes hold, after a snapshot with all of them was read."""
        for parameter, owner in zip(self.parameters, self.owners, strict=True):
            if owner != distributed.rank():
                self.optimizer.state.pop(parameter, None)

    @contextmanager
    def gathered(self) -> Iterator[None]:
        """Within, process 0 holds all averages, to write them down."""
        ages = torch.tensor([self.optimizer.state.get(p, {}).get("step", 0) for p in self.parameters])
        distributed.add([ages])
        for parameter, owner, age in zip(self.parameters, self.owners, ages.tolist(), strict=True):
            if age and owner:
                mine = self.optimizer.state.get(parameter, {})
                found = {key: mine.get(key, torch.empty_like(parameter)).detach() for key in ("m", "v")}
                distributed.spread(list(found.values()), [owner, owner])
                if not distributed.rank():
                    self.optimizer.state[parameter] = {"step": age, **found}
        try:
            yield
        finally:
            self.drop()
