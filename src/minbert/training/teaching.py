"""What the teachers of a stage say of its rows: computed once before the stage, then looked up."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

import minbert.distributed as distributed
from minbert.checkpoint import load_model
from minbert.encoder import load_folder
from minbert.errors import RunError
from minbert.inference import embed_rows, score_rows
from minbert.losses import Targets
from minbert.runs import TEACHERS, Run
from minbert.text.batches import Rows, texts_of
from minbert.training.plan import Slot
from minbert.training.progress import Listener
from minbert.training.setup import Setup
from minbert.training.teachers import Teacher

Advance = Callable[[int], None]


@dataclass(frozen=True)
class Taught:
    """What a teacher says of rows of a task.

    Attributes:
        rows: their numbers in train, sorted.
        scores: of its head, (rows, outputs); None: not asked for.
        vectors: its embeddings of the rows' distinct texts, of length 1, in half precision, (texts, width).
        texts: which of them each row's are, (rows, columns); None: not asked for.
    """

    rows: Rows
    scores: Tensor | None
    vectors: Tensor | None
    texts: Tensor | None

    def __call__(self, rows: Rows, targets: Targets) -> Targets:
        """The targets of some of the rows, with what the teacher says."""
        place, device = torch.from_numpy(np.searchsorted(self.rows, rows)), targets.labels.device
        scores = None if self.scores is None else self.scores[place].to(device)
        if self.vectors is None or self.texts is None:
            return replace(targets, teacher=scores)
        vectors = tuple(self.vectors[column].to(device).float() for column in self.texts[place].T)
        return replace(targets, teacher=scores, teacher_vectors=vectors)


class Teaching:
    """The teachers of a stage.

    Args:
        taught: by task; tasks without a teacher are left out.
    """

    def __init__(self, taught: dict[str, Taught]) -> None:
        self.taught = taught

    def __call__(self, slot: Slot, targets: Targets, progress: float) -> Targets:
        """The targets of a slot with all that a loss may read.

        Args:
            slot: which rows.
            targets: what their labels say.
            progress: the share of the stage's steps that are done.
        """
        targets = replace(targets, progress=progress)
        return self.taught[slot.task](slot.rows, targets) if slot.task in self.taught else targets


def teach(
    setup: Setup,
    stage: str,
    rows: dict[str, Rows],
    work: dict[str, int],
    listener: Listener,
    advance: Advance,
    run: Run | None,
) -> Teaching:
    """Asks the teachers of a stage.

    Args:
        setup: rows and teachers.
        stage: its name.
        rows: that the stage will use, by task, sorted.
        work: how much asking each teacher was planned as, by task.
        listener: hears whose turn it is.
        advance: hears of the work.
        run: keeps the answers until it is finished, so that a resumed run does not ask again; None: nothing does.

    Raises:
        RunError: kept answers are damaged.
        StorageError: answers could not be written.
    """
    taught = {}
    for task in rows:
        teacher = setup.teachers.get((stage, task))
        if teacher:
            listener.doing(f"teacher of {task}")
            share = _Share(advance, work.get(task, 0), cost_of(setup, teacher))
            taught[task] = _ask(setup, teacher, task, rows[task], share, run)
            share.end()
    return Teaching(taught)


def cost_of(setup: Setup, teacher: Teacher) -> float:
    """How dear a token is to the teacher, measured by the student."""
    ours, theirs = (
        c.num_hidden_layers * c.hidden_size * (2 * c.hidden_size + c.intermediate_size)
        for c in (setup.source.config, teacher.source.config)
    )
    return theirs / ours


class _Share:
    """Tells of as much work as was planned, however many tokens the teacher's own tokenizer makes."""

    def __init__(self, advance: Advance, planned: int, cost: float) -> None:
        self.advance, self.left, self.cost = advance, planned, cost

    def __call__(self, tokens: int) -> None:
        done = min(self.left, int(tokens * self.cost))
        self.left -= done
        self.advance(done)

    def end(self) -> None:
        self.advance(self.left)


def _ask(setup: Setup, teacher: Teacher, task: str, rows: Rows, advance: Advance, run: Run | None) -> Taught:
    """What one teacher says of some rows."""
    columns = setup.data[task].splits["train"].rows(rows).columns
    scores = vectors = texts = None
    if "scores" in teacher.asks:
        key = _key(teacher.digest, "scores", teacher.task, *columns)
        scores = _kept(run, key, lambda: _scores(setup, teacher, columns, advance))
    if "vectors" in teacher.asks:
        places = {text: i for i, text in enumerate(dict.fromkeys(text for column in columns for text in column))}
        texts = torch.tensor([[places[text] for text in column] for column in columns]).T.contiguous()
        key = _key(teacher.digest, "vectors", teacher.pooling, tuple(places))
        vectors = _kept(run, key, lambda: _vectors(setup, teacher, tuple(places), advance))
    return Taught(rows, scores, vectors, texts)


def _scores(setup: Setup, teacher: Teacher, columns: Sequence[Sequence[str]], advance: Advance) -> Tensor:
    """The scores of the teacher's head, float32."""
    assert teacher.folder is not None, "a head stands in a checkpoint"
    model = load_model(teacher.folder).to(setup.device)
    model.encoder.precision = setup.precision
    return score_rows(model, teacher.task, texts_of(columns, model.tokenizer), advance).clone()


def _vectors(setup: Setup, teacher: Teacher, texts: Sequence[str], advance: Advance) -> Tensor:
    """The teacher's embeddings of texts, of length 1, in half precision."""
    source = teacher.source
    loaded = load_model(teacher.folder) if teacher.folder else load_folder(source, source.longest)
    encoder = loaded.encoder.to(setup.device)
    encoder.precision = setup.precision
    found = embed_rows(encoder, texts_of([texts], loaded.tokenizer), teacher.pooling, advance)
    return F.normalize(found, dim=-1).half()


def _key(*parts: str | Sequence[str]) -> str:
    """The name of a teacher's answers: a digest of its weights, what was asked, and the texts."""
    whole = hashlib.sha256()
    for part in parts:
        for text in (part,) if isinstance(part, str) else part:
            whole.update(f"{len(text)}:{text}".encode())
    return whole.hexdigest()[:32]


def _kept(run: Run | None, key: str, ask: Callable[[], Tensor]) -> Tensor:
    """A teacher's answers from the run's folder, else from the teacher."""
    if run is None:
        return ask()
    path = run.folder / TEACHERS / f"{key}.safetensors"
    if distributed.first_says(path.is_file()):
        try:
            return load_file(path)["answers"]
        except (SafetensorError, KeyError) as fault:
            raise RunError(f"{path}: expected a teacher's answers, found {fault}; remove the file") from None
    answers = ask()
    run.write_bytes(f"{TEACHERS}/{path.name}", save({"answers": answers}))
    return answers
