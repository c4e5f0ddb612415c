"""The optimizer of a stage as a value, and the groups of parameters it trains."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from minbert.optimizer.adamw import AdamW
from minbert.values import Family, Value

Share = Annotated[float, Field(ge=0, lt=1)]


class Optimizer(Value):
    """How gradients move weights.

    Attributes:
        clip: the merged gradient is scaled down to this norm; 0: not clipped.
        memory: `whole`: every process holds all of the optimizer's memory; `shared`: each of several holds its share.
    """

    kind: str
    clip: float = Field(default=1.0, ge=0)
    memory: Literal["whole", "shared"] = "whole"


class AdamWSpec(Optimizer):
    """AdamW, "efficient version".

    Attributes:
        weight_decay: 0 or more.
        decay: what decays: `matrices` (not biases and norms) or `all`.
        towards: `zero`, or `start`: the shared weights decay towards what they were when the run began (L2-SP), so that
            what the encoder knew is not forgotten; heads, which knew nothing, towards 0.
        betas: of the moving averages, each in [0, 1).
        eps: 0 or more.
    """

    kind: Literal["adamw"] = "adamw"
    weight_decay: float = Field(default=0.01, ge=0)
    decay: Literal["matrices", "all"] = "matrices"
    towards: Literal["zero", "start"] = "zero"
    betas: tuple[Share, Share] = (0.9, 0.999)
    eps: float = Field(default=1e-6, ge=0)

    def build(
        self, rates: Iterable[tuple[float, list[nn.Parameter]]], starts: Mapping[Tensor, Tensor] | None = None
    ) -> AdamW:
        """The optimizer over parameters with their learning rates; each group keeps its own as `base`.

        Args:
            rates: learning rates, each with its parameters.
            starts: what the shared parameters were when the run began; read where they decay towards it.
        """
        groups = []
        for lr, parameters in rates:
            matrices = [p for p in parameters if p.ndim > 1 or self.decay == "all"]
            vectors = [p for p in parameters if p.ndim <= 1 and self.decay != "all"]
            for members, decay in ((matrices, self.weight_decay), (vectors, 0.0)):
                if members:
                    groups.append({"params": members, "lr": lr, "base": lr, "weight_decay": decay})
        return AdamW(groups, betas=self.betas, eps=self.eps, starts=starts if self.towards == "start" else None)


AnyOptimizer = Annotated[Optimizer, Family(AdamWSpec)]
