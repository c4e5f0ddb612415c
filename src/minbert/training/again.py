"""A batch that runs once more: with other dropout masks, with shifted embeddings, or with other weights."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.func import functional_call

import minbert.distributed as distributed
from minbert.encoder import Encoder
from minbert.model import MultiTaskModel, Pooled
from minbert.outputs import Outputs
from minbert.randomness import derive, generator
from minbert.regularizers import Again
from minbert.shapes import Hidden, RowVectors, Scalar
from minbert.text.batches import Batch
from minbert.training.gathered import gathered


class Pass(nn.Module):
    """A batch of a task through the model, with a seed for its dropout: what runs with other weights.

    Args:
        model: whose weights are used where no others are given.
    """

    def __init__(self, model: MultiTaskModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, task: str, batch: Batch, seed: int) -> Outputs:
        """The outputs of this process's share of the rows."""
        (pooled,) = self.model.pooled([(task, batch)], [seed])
        torch.manual_seed(seed)
        return self.model.score(task, *pooled)


class SameBatch(Again):
    """Runs a batch once more.

    Args:
        model: in training mode.
        weights: those in training, by their names in the model.
        task: of the batch.
        batch: this process's share of the rows.
        seed: of the first pass's dropout in this process.
        hashes: a number per text of the whole batch, (rows, texts).
        pooled: what the encoder made of the share in the first pass.
        texts_only: packs the share's texts, each by itself.
        advance: hears the tokens of a pass.
    """

    def __init__(
        self,
        model: MultiTaskModel,
        weights: Mapping[str, Tensor],
        task: str,
        batch: Batch,
        seed: int,
        hashes: Tensor,
        pooled: Pooled,
        texts_only: Callable[[], Batch],
        advance: Callable[[int], None],
    ) -> None:
        self.model, self.task, self.batch, self.seed = model, task, batch, seed
        # By columns, as the vectors of texts stand.
        self.rows, self.hashes = len(hashes), hashes.T.flatten()
        self.pooled, self.texts_only, self.advance = pooled, texts_only, advance
        self.kind, self.precision = model.tasks[task].kind, model.encoder.precision
        self.named, self.weights = weights, list(weights.values())

    def __call__(
        self,
        *,
        mask: int = 0,
        shift: Hidden | None = None,
        weights: Sequence[Tensor] | None = None,
        precision: torch.dtype | None = None,
    ) -> Outputs:
        """The outputs of all rows; arguments as for `Again`."""
        self.advance(len(self.batch.pack.ids))
        given = (self.task, self.batch, self._seed(mask))
        others = {}
        if weights is not None:
            names = [f"model.{name}" for name in self.named]
            others = {name: weight.to(self.batch.pack.ids.device) for name, weight in zip(names, weights, strict=True)}
        with shifted(self.model.encoder, shift), computing(self.model.encoder, precision):
            return gathered(functional_call(Pass(self.model), others, given), self.rows)

    def texts(self, mask: int = 0) -> RowVectors:
        """The pooled vectors of all texts, first texts first."""
        pooled = self.pooled
        if mask:
            batch = self.texts_only()
            self.advance(len(batch.pack.ids))
            (pooled,) = self.model.pooled([(self.task, batch)], [self._seed(mask)])
        whole, apart = pooled
        parts = apart if whole is None or apart else (whole,)
        return torch.cat([distributed.whole(part, self.rows) for part in parts])

    def noise(self) -> Hidden:
        """Numbers of the generator of each row, by form and token."""
        pack, rows = self.batch.pack, self.batch.rows.tolist()
        noise = torch.empty(len(pack.ids), self.model.encoder.width)
        bounds = pack.offsets.tolist()
        for number, place in enumerate(pack.index.tolist()):
            names = ("shift", number // len(rows), rows[number % len(rows)])
            # Processes differ in their masks only.
            rng = generator(self.seed - distributed.rank(), *names)
            noise[bounds[place] : bounds[place + 1]].normal_(generator=rng)
        return noise.to(pack.ids.device)

    def gradient(self, value: Scalar, shift: Hidden) -> Hidden:
        """The gradient of a value on a shift."""
        (found,) = torch.autograd.grad(value, shift)
        # Of a batch with fewer rows than processes each has all rows, and the share of one of several in the gradient.
        return found * distributed.size() if self.rows < distributed.size() else found

    def _seed(self, mask: int) -> int:
        return derive(self.seed, "again", mask) if mask else self.seed


@contextmanager
def shifted(encoder: Encoder, shift: Hidden | None) -> Iterator[None]:
    """Within, a shift is added to what the encoder's embedding layer gives."""
    if shift is None:
        yield
        return
    hook = encoder.blocks()[0].register_forward_hook(lambda layer, given, hidden: hidden + shift.to(hidden.dtype))
    try:
        yield
    finally:
        hook.remove()


@contextmanager
def computing(encoder: Encoder, precision: torch.dtype | None) -> Iterator[None]:
    """Within, the encoder computes in a precision; None: in its own."""
    own = encoder.precision
    encoder.precision = precision or own
    try:
        yield
    finally:
        encoder.precision = own
