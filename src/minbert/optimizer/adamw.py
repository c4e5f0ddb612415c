"""AdamW in its "efficient version", block by block."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from ctypes import c_float
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any, NamedTuple

import torch
from torch import Tensor

BLOCK = 9 << 16
"""Numbers that are updated together on a processor: few enough that they are still in its cache for the decay, and a
feed-forward matrix of a small BERT in one piece."""

LATE = torch.tensor(math.inf)
"""A number of steps for torch's fused kernel, at which its own bias corrections are exactly 1."""

FAINT, SWEEP = 1e-28, 16
"""On a processor, every 16th step sets each m below this to 0. It moves no weight that float32 can tell; but in the row
of a word that has not come for 600 steps m and its product with the rate would end, for good, among the numbers below
1.2e-38, over which a processor takes several times as long."""


class Stretch(NamedTuple):
    """The same numbers of a weight, of m, of v and of the gradient, and whether the first three lie in one piece each.

    That is asked on a processor only, once a weight: flattened, others would be copies, and the copies would move.
    """

    w: Tensor
    m: Tensor
    v: Tensor
    gradient: Tensor
    smooth: bool

    def split(self, gradients: Iterable[Tensor], size: int) -> Iterator["Stretch"]:
        """Pieces of so many numbers, or rows, each with its gradient."""
        pieces = (tensor.split(size) for tensor in self[:3])
        return map(Stretch, *pieces, gradients, repeat(self.smooth))


@dataclass(frozen=True)
class Pace:
    """What numbers of one age in one group have in common.

    The step size, b1 and b2, eps, rate times decay, and whether the step sweeps.
    """

    rate: float
    betas: tuple[float, float]
    eps: float
    decay: float
    sweeps: bool


class AdamW(torch.optim.Optimizer):
    """Adam with decoupled weight decay, the bias corrections folded into the step size.

    ```
    m = b1 m + (1 - b1) g
    v = b2 v + (1 - b2) g^2
    w -= lr sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt(v) + eps)
    w -= lr weight_decay (w - start)                            (after, with the plain rate; start is 0 unless given)
    ```

    m is updated as `m + (1 - b1) (g - m)`, the form of torch's fused kernel, with b1 rounded to float32 (in float64 as
    it is). The reference array has b1 and 1 - b1 rounded each by itself, so that they do not add up to 1, and its m is
    larger or smaller by a constant factor: that factor goes into the step size. A parameter without a gradient does not
    move, and its t stands still.

    Args:
        params: parameters or groups of them.
        lr: learning rate, above 0.
        betas: b1 and b2, each in [0, 1), rounded to float32 too.
        eps: added to the uncorrected root, 0 or more.
        weight_decay: 0 or more.
        starts: where parameters decay to; those that it does not name decay to 0.

    Source: Kingma & Ba 2014, end of section 2; Loshchilov & Hutter 2017, algorithm 2; decay towards a start: Xuhong et
    al. 2018, equation 2 (L2-SP), here decoupled.
    Deviates: torch.optim.AdamW has eps on the corrected root and multiplies by a rounded decay; on a processor, every
    16th step makes an m below 1e-28 zero.
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
        if not (lr > 0 and all(b >= 0 and c_float(b).value < 1 for b in betas) and eps >= 0 and weight_decay >= 0):
            raise ValueError(f"AdamW: out of range: {lr=}, {betas=}, {eps=}, {weight_decay=}")
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})
        self.starts = starts or {}

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of every parameter that has a gradient."""
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            # Parameters that sat out some steps have a t of their own, and with it a step size of their own.
            alike: dict[tuple[int, bool, torch.dtype], list[Tensor]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    state = self.state[parameter]
                    if not state:
                        state["step"] = 0
                        state["m"] = torch.zeros_like(parameter)
                        state["v"] = torch.zeros_like(parameter)
                    alike[state["step"], parameter in self.starts, parameter.dtype].append(parameter)
            for (age, pulled, _), parameters in alike.items():
                self._update(parameters, age, pulled, group)
        return loss

    def _update(self, parameters: list[Tensor], age: int, pulled: bool, group: dict[str, Any]) -> None:
        """One step of parameters of one type that have made as many steps, and decay to their starts or to 0."""
        first, second = group["betas"]
        double = parameters[0].dtype == torch.float64
        kept, added = (first, 1 - first) if double else (c_float(first).value, c_float(1 - first).value)
        rate = group["lr"] * (1 - second ** (age + 1)) ** 0.5 / (1 - first ** (age + 1)) * added / (1 - kept)
        decay = group["lr"] * group["weight_decay"]
        pace = Pace(rate, (kept, second), group["eps"], 0.0 if pulled else decay, age % SWEEP == 0)
        stretches = [self._stretch(parameter) for parameter in parameters]
        whole = [stretch for stretch in stretches if not stretch.gradient.is_sparse]
        for some in _together(chain.from_iterable(map(_pieces, whole))):
            _move(some, pace)
        for stretch in stretches:
            if stretch.gradient.is_sparse:
                _move_rows(stretch, pace)
        for parameter in parameters:
            if pulled and decay:
                parameter.lerp_(self.starts[parameter], decay)
            self.state[parameter]["step"] = age + 1

    def _stretch(self, parameter: Tensor) -> Stretch:
        """A parameter whole, with what belongs to it."""
        state, gradient = self.state[parameter], parameter.grad
        assert gradient is not None
        parts = (parameter, state["m"], state["v"])
        smooth = parameter.device.type == "cpu" and all(part.is_contiguous() for part in parts)
        return Stretch(*parts, gradient, smooth)


def _pieces(whole: Stretch) -> Iterator[Stretch]:
    """Blocks of a weight that lies in one piece on a processor; a small one, or another, whole."""
    if not whole.smooth or (whole.w.numel() <= BLOCK and whole.gradient.is_contiguous()):
        return iter([whole])
    w, m, v, gradient = (tensor.reshape(-1) for tensor in whole[:4])
    return Stretch(w, m, v, gradient, whole.smooth).split(gradient.split(BLOCK), BLOCK)


def _together(stretches: Iterable[Stretch]) -> Iterator[list[Stretch]]:
    """Small ones in one list, up to the size of a block; on other devices than a processor all."""
    found: list[Stretch] = []
    size = 0
    for stretch in stretches:
        if found and stretch.w.device.type == "cpu" and size + stretch.w.numel() > BLOCK:
            yield found
            found, size = [], 0
        found.append(stretch)
        size += stretch.w.numel()
    if found:
        yield found


def _move(stretches: Sequence[Stretch], pace: Pace) -> None:
    """m, v, w and the decay of several stretches; where it can be, all but the decay in one pass by torch's kernel."""
    w, m, v, gradient, smooth = (list(parts) for parts in zip(*stretches, strict=True))
    first, second = pace.betas
    if all(smooth):
        for faint in m if pace.sweeps else ():
            torch.hardshrink(faint, FAINT, out=faint)
        torch._fused_adamw_(
            w,
            gradient,
            m,
            v,
            max_exp_avg_sqs=[],
            state_steps=[LATE] * len(w),
            lr=pace.rate,
            beta1=first,
            beta2=second,
            weight_decay=0.0,
            eps=pace.eps,
            amsgrad=False,
            maximize=False,
        )
        # The kernel does not say that it changed them, and layers lay their weights out anew when they hear of it.
        torch.autograd.graph.increment_version(w)
    else:
        torch._foreach_lerp_(m, gradient, 1 - first)
        torch._foreach_mul_(v, second)
        torch._foreach_addcmul_(v, gradient, gradient, value=1 - second)
        roots = torch._foreach_sqrt(v)
        torch._foreach_add_(roots, pace.eps)
        torch._foreach_addcdiv_(w, m, roots, value=-pace.rate)
    if pace.decay:
        # Not a multiplication by 1 - decay: in float32 that factor is rounded (1 - 1e-7 to 1 - 1.19e-7).
        torch._foreach_add_(w, w, alpha=-pace.decay)


def _move_rows(whole: Stretch, pace: Pace) -> None:
    """The same for a gradient that holds some rows only: block after block of rows, with zeros between."""
    gradient = whole.gradient.coalesce()
    rows, values = gradient.indices()[0], gradient.values()
    size = max(1, BLOCK // max(1, whole.w[0].numel()))
    starts = torch.arange(0, len(whole.w), size, device=rows.device)
    bounds = [*torch.searchsorted(rows, starts).tolist(), len(rows)]
    zeros = torch.zeros_like(whole.w[:size])
    for number, piece in enumerate(whole.split(repeat(zeros), size)):
        mine = slice(bounds[number], bounds[number + 1])
        places, dense = rows[mine] - number * size, zeros[: len(piece.w)]
        dense.index_copy_(0, places, values[mine])
        _move([piece._replace(gradient=dense)], pace)
        dense.index_fill_(0, places, 0.0)
