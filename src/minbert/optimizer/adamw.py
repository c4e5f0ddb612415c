"""AdamW in its "efficient version", block by block."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

BLOCK = 1 << 19
"""Numbers that are updated together on a processor: few enough that they are still in its cache for the decay."""

LATE = torch.tensor(math.inf)
"""A number of steps for torch's fused kernel, at which its own bias corrections are exactly 1."""

KEEPING = 1 - 2.0**-53
"""A b1 for it, the largest below 1, with which it leaves m as it is."""

Stretch = tuple[Tensor, Tensor, Tensor, Tensor]
"""The same numbers of a weight, of m, of v and of the gradient."""


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
        for parameter in parameters:
            state, start = self.state[parameter], self.starts.get(parameter)
            for stretch in _stretches(parameter, state["m"], state["v"]):
                _move(stretch, rate, group["betas"], group["eps"])
                if decay and start is None:
                    # Not a multiplication by 1 - decay: in float32 that factor is rounded (1 - 1e-7 to 1 - 1.19e-7).
                    stretch[0].add_(stretch[0], alpha=-decay)
            if decay and start is not None:
                parameter.lerp_(start, decay)
        for parameter in parameters:
            self.state[parameter]["step"] = age + 1


def _in_one_piece(*parts: Tensor) -> bool:
    """Whether they lie so on a processor; flattened, others would be copies, and the copies would move."""
    return all(part.device.type == "cpu" and part.is_contiguous() for part in parts)


def _move(stretch: Stretch, rate: float, betas: tuple[float, float], eps: float) -> None:
    """m, v and w but for the decay; v and w in one pass by torch's kernel where that can be.

    The kernel has an m of its own, `m + (1 - b1) (g - m)`: with it, weights land 2.4e-7 from the reference array after
    a thousand steps, without it 1.2e-7.
    """
    w, m, v, gradient = stretch
    m.mul_(betas[0]).add_(gradient, alpha=1 - betas[0])
    if not _in_one_piece(w, m, v):
        v.mul_(betas[1]).addcmul_(gradient, gradient, value=1 - betas[1])
        w.addcdiv_(m, v.sqrt().add_(eps), value=-rate)
        return
    torch._fused_adamw_(
        [w],
        [gradient],
        [m],
        [v],
        max_exp_avg_sqs=[],
        state_steps=[LATE],
        lr=rate,
        beta1=KEEPING,
        beta2=betas[1],
        weight_decay=0.0,
        eps=eps,
        amsgrad=False,
        maximize=False,
    )


def _stretches(weight: Tensor, m: Tensor, v: Tensor) -> Iterator[Stretch]:
    """Blocks of a weight that lies in one piece on a processor; another one whole."""
    gradient = weight.grad
    assert gradient is not None
    if gradient.is_sparse:
        return _row_blocks(weight, m, v, gradient.coalesce())
    whole = (weight, m, v, gradient)
    if not _in_one_piece(weight, m, v):
        return iter([whole])
    return zip(*(tensor.reshape(-1).split(BLOCK) for tensor in whole), strict=True)


def _row_blocks(weight: Tensor, m: Tensor, v: Tensor, gradient: Tensor) -> Iterator[Stretch]:
    """The same for a gradient that holds some rows only: each block's, with zeros between."""
    size = max(1, BLOCK // max(1, weight[0].numel()))
    rows, values = gradient.indices()[0], gradient.values()
    starts = torch.arange(0, len(weight), size, device=rows.device)
    bounds = [*torch.searchsorted(rows, starts).tolist(), len(rows)]
    zeros = torch.zeros_like(weight[:size])
    for number, parts in enumerate(zip(weight.split(size), m.split(size), v.split(size), strict=True)):
        mine = slice(bounds[number], bounds[number + 1])
        places, dense = rows[mine] - number * size, zeros[: len(parts[0])]
        dense.index_copy_(0, places, values[mine])
        yield *parts, dense
        dense.index_fill_(0, places, 0.0)
