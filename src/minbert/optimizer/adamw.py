"""AdamW in its "efficient version", block by block."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

BLOCK = 1 << 17
"""Numbers that are updated together on a processor: few enough that all five arrays stay in its cache."""


Gradient = Tensor | tuple[Tensor, Tensor]
"""Of a stretch of a weight: dense, or the rows that it has and their values."""


class AdamW(torch.optim.Optimizer):
    """Adam with decoupled weight decay, the bias corrections folded into the step size.

    ```
    m = b1 m + (1 - b1) g
    v = b2 v + (1 - b2) g^2
    w -= lr sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt(v) + eps)
    w -= lr weight_decay (w - start)                            (after, with the plain rate; start is 0 unless given)
    ```

    A parameter without a gradient does not move, and its t stands still.

    Args:
        params: parameters or groups of them.
        lr: learning rate, above 0.
        betas: b1 and b2, each in [0, 1).
        eps: added to the uncorrected root, 0 or more.
        weight_decay: 0 or more.
        starts: where parameters decay to; those that it does not name decay to 0.

    Source: Kingma & Ba 2014, end of section 2; Loshchilov & Hutter 2017, algorithm 2; decay towards a start: Xuhong et
    al. 2018, equation 2 (L2-SP), here decoupled.
    Deviates: torch.optim.AdamW has eps on the corrected root and multiplies by a rounded decay.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        starts: Mapping[Tensor, Tensor] | None = None,
    ) -> None:
        if not (lr > 0 and all(0 <= b < 1 for b in betas) and eps >= 0 and weight_decay >= 0):
            raise ValueError(f"AdamW: out of range: {lr=}, {betas=}, {eps=}, {weight_decay=}")
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})
        self.starts = starts or {}

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of every parameter that has a gradient."""
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            # Parameters that sat out some steps have a t of their own, and with it a step size of their own.
            by_age: dict[int, list[Tensor]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    state = self.state[parameter]
                    if not state:
                        state["step"] = 0
                        state["m"] = torch.zeros_like(parameter)
                        state["v"] = torch.zeros_like(parameter)
                    by_age[state["step"]].append(parameter)
            for age, parameters in by_age.items():
                self._update(parameters, age, group)
        return loss

    def _update(self, parameters: list[Tensor], age: int, group: dict[str, Any]) -> None:
        """One step of parameters that have all made the same number of steps."""
        first, second = group["betas"]
        rate = group["lr"] * (1 - second ** (age + 1)) ** 0.5 / (1 - first ** (age + 1))
        decay = group["lr"] * group["weight_decay"]
        # One piece of memory for all roots: fresh pages would cost as much as the roots.
        scratch = parameters[0].new_empty(BLOCK)
        for parameter in parameters:
            state, start = self.state[parameter], self.starts.get(parameter)
            for w, m, v, gradient in _blocks(parameter, state["m"], state["v"]):
                m.mul_(first)
                v.mul_(second)
                if isinstance(gradient, tuple):
                    rows, values = gradient
                    m.index_add_(0, rows, values, alpha=1 - first)
                    v.index_add_(0, rows, values.square(), alpha=1 - second)
                else:
                    m.add_(gradient, alpha=1 - first)
                    v.addcmul_(gradient, gradient, value=1 - second)
                root = torch.sqrt(v, out=scratch[: v.numel()].view_as(v)) if v.numel() <= BLOCK else v.sqrt()
                w.addcdiv_(m, root.add_(group["eps"]), value=-rate)
                if decay and start is None:
                    # Not a multiplication by 1 - decay: in float32 that factor is rounded (1 - 1e-7 to 1 - 1.19e-7).
                    w.add_(w, alpha=-decay)
            if decay and start is not None:
                parameter.lerp_(start, decay)
        for parameter in parameters:
            self.state[parameter]["step"] = age + 1


def _blocks(weight: Tensor, m: Tensor, v: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor, Gradient]]:
    """The same stretch of each tensor, one stretch after the other; whole tensors on a GPU."""
    gradient = weight.grad
    assert gradient is not None
    if gradient.is_sparse:
        return _row_blocks(weight, m, v, gradient.coalesce())
    whole = (weight, m, v, gradient)
    if weight.device.type != "cpu" or not all(tensor.is_contiguous() for tensor in whole[:3]):
        # Flattened, a weight that is not contiguous would be a copy, and the copy would move.
        return iter([whole])
    return zip(*(tensor.reshape(-1).split(BLOCK) for tensor in whole), strict=True)


def _row_blocks(
    weight: Tensor, m: Tensor, v: Tensor, gradient: Tensor
) -> Iterator[tuple[Tensor, Tensor, Tensor, Gradient]]:
    """The same for a gradient that holds some rows only."""
    size = max(1, BLOCK // max(1, weight[0].numel()))
    rows, values = gradient.indices()[0], gradient.values()
    starts = torch.arange(0, len(weight), size, device=rows.device)
    bounds = [*torch.searchsorted(rows, starts).tolist(), len(rows)]
    for number, parts in enumerate(zip(weight.split(size), m.split(size), v.split(size), strict=True)):
        mine = slice(bounds[number], bounds[number + 1])
        yield *parts, (rows[mine] - number * size, values[mine])
