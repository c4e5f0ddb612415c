"""One encoder, a head per task."""

from collections.abc import Sequence

from torch import Tensor, nn

from minbert.encoder import (
    OWN_WAYS,
    Adapter,
    ByTask,
    Encoder,
    EncoderConfig,
    Pooling,
    TaskAdapter,
    for_embeddings,
    low_rank_parameters,
)
from minbert.heads import HeadModule, start
from minbert.losses import Loss
from minbert.outputs import Outputs
from minbert.randomness import generator
from minbert.regularizers import Regularizer
from minbert.tasks import Task
from minbert.text.batches import Batch, Forms
from minbert.text.tokenizer import Tokenizer

Pooled = tuple[Tensor | None, tuple[Tensor, ...]]
"""The vectors of rows as wholes, and of their texts apart, as far as they stood in the pack."""

Line = tuple[float, float]
"""A scale and a shift, by which a task's logits become calibrated ones: `scale * logit + shift`."""


class MultiTaskModel(nn.Module):
    """One encoder, a head per task, and the adapters that are asked for.

    Args:
        encoder: the shared part.
        tokenizer: of the encoder.
        tasks: by name, with their classes filled in.
        pooling: of heads that name none.
        seed: for the heads' first weights.
        config: the encoder's sizes as its folder states them, dropouts included.
        adapters: those that change the shared encoder are put into it, those of a task are built for each.
    """

    def __init__(
        self,
        encoder: Encoder,
        tokenizer: Tokenizer,
        tasks: dict[str, Task],
        pooling: Pooling = "mean",
        seed: int = 0,
        config: EncoderConfig | None = None,
        adapters: Sequence[Adapter] = (),
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.tokenizer = tokenizer
        self.tasks = dict(tasks)
        self.pooling: Pooling = pooling
        self.config = config or encoder.config
        modules = {
            key_of(name): start(task.head.build(encoder.width, task.outputs), generator(seed, "head", name))
            for name, task in tasks.items()
        }
        self.heads = nn.ModuleDict(modules)
        self.adapters = nn.ModuleDict()
        kept = []
        for adapter in adapters:
            adapter.attach(encoder.blocks()[1:], generator(seed, "adapter", adapter.kind))
            built = {
                key_of(name): adapter.build(encoder.config, generator(seed, "adapter", adapter.kind, name))
                for name in tasks
            }
            self.adapters.update({key: module for key, module in built.items() if module})
            kept += [adapter] if any(built.values()) else []
        self.of_tasks: tuple[Adapter, ...] = tuple(kept)
        self.calibration: dict[str, Line] = {}

    def head(self, task: str) -> HeadModule:
        """The head of a task."""
        head = self.heads[key_of(task)]
        assert isinstance(head, HeadModule)
        return head

    def forms(self, task: str, readers: Sequence[Loss | Regularizer] = ()) -> Forms:
        """In which forms a task's rows must stand in a pack for its head and these losses and regularizers."""
        return forms_of(self.tasks[task], readers)

    def adapter(self, task: str) -> TaskAdapter | None:
        """The adapter of a task; None: it has none."""
        adapter = self.adapters[key_of(task)] if self.adapters else None
        assert adapter is None or isinstance(adapter, TaskAdapter)
        return adapter

    def pooled(
        self, work: Sequence[tuple[str, Batch]], seeds: Sequence[int] | None = None, by_task: ByTask | None = None
    ) -> list[Pooled]:
        """What the encoder makes of batches, in one pass.

        Args:
            work: batches, each with its task.
            seeds: for dropout in training, one per batch; None: from torch's default generator.
            by_task: collects the tasks' gradients on the encoder; None: they are summed.
        """
        packs, hows = [batch.pack for _, batch in work], [self._poolings(task, batch.forms) for task, batch in work]
        adapters = [self.adapter(task) for task, _ in work] if self.adapters else []
        owners = None if by_task is None else (by_task, [task for task, _ in work])
        made = self.encoder.vectors_of(packs, hows, seeds, adapters, owners)
        found: list[Pooled] = []
        for (_, batch), vectors in zip(work, made, strict=True):
            parts = [pooled.split(len(batch.rows)) for pooled in vectors]
            found.append((parts[0][0], parts[-1][1:]) if batch.forms.whole else (None, parts[0]))
        return found

    @property
    def splits(self) -> bool:
        """Whether the gradients of several tasks on the encoder can be kept apart in one pass."""
        plain = not (self.adapters or low_rank_parameters(self.encoder))
        return self.encoder.splits and plain and self.encoder.device.type in OWN_WAYS

    def _poolings(self, task: str, forms: Forms) -> list[Pooling]:
        """The head's pooling; and where losses read the texts apart beside it, that of the embeddings they train."""
        own = self.tasks[task].head.pooling or self.pooling
        if not forms.whole and self.tasks[task].head.reads != 2:
            # The texts of a pair alone, for a loss or a regularizer.
            return [self.embedding_pooling]
        return list(dict.fromkeys((own, self.embedding_pooling))) if forms.whole and forms.apart else [own]

    def score(self, task: str, whole: Tensor | None, apart: tuple[Tensor, ...]) -> Outputs:
        """What the head of a task makes of pooled vectors."""
        given = apart if whole is None else (whole, *apart)[: self.tasks[task].head.reads]
        outputs: Outputs = self.head(task)(*given)
        # A loss may read the texts apart beside a head that does not.
        return outputs if outputs.vectors else Outputs(outputs.scores, apart)

    def forward(self, task: str, batch: Batch) -> Outputs:
        """The outputs of a batch of a task."""
        return self.score(task, *self.pooled([(task, batch)])[0])

    def calibrated(self, task: str, scores: Tensor) -> Tensor:
        """Logits of a task's head, (rows, outputs), as its calibration has them; as they are where it has none."""
        if task not in self.calibration:
            return scores
        scale, shift = self.calibration[task]
        return scale * scores + shift

    @property
    def embedding_pooling(self) -> Pooling:
        """How embeddings are pooled: as the vectors of heads that name no pooling, but never by BERT's pooler."""
        return for_embeddings(self.pooling)


def forms_of(task: Task, readers: Sequence[Loss | Regularizer] = ()) -> Forms:
    """In which forms a task's rows must stand in a pack for its head and these losses and regularizers."""
    reads = task.head.reads
    vectors = any(reader.reads == "vectors" for reader in readers)
    return Forms(whole=reads != 2, apart=reads > 1 or (vectors and task.is_pair))


def key_of(task: str) -> str:
    """Under which name a task's modules stand in a checkpoint."""
    # A ModuleDict refuses names such as "type" or "items"; a task may be called so.
    return f"to_{task}"
