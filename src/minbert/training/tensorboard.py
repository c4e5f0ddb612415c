"""The course of a run for TensorBoard: `minbert train ... --tensorboard`, then `tensorboard --logdir runs`."""

from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from minbert.errors import MissingExtra
from minbert.training.progress import Listener

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

FOLDER = "tensorboard"


class TensorBoard(Listener):
    """Writes losses by task, the learning rate, and the scores of each epoch into `RUN/tensorboard`.

    A run that was killed goes on in a file of its own, which takes the place of the steps that were lost. Use as a
    context manager.

    Args:
        run: the run's folder; nothing is written before the first step.

    Raises:
        MissingExtra: tensorboard is not installed.
    """

    def __init__(self, run: Path) -> None:
        check_tensorboard()
        self.run = run
        self.writer: SummaryWriter | None = None
        self.step = 0
        self.purged: int | None = None

    def __enter__(self) -> "TensorBoard":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.writer:
            self.writer.close()

    def resumed(self, number: int) -> None:
        self.step, self.purged = number, number + 1

    def stepped(self, number: int, losses: list[tuple[str, float]], rate: float) -> None:
        self.step = number
        writer = self._open()
        for task in dict.fromkeys(task for task, _ in losses):
            own = [loss for other, loss in losses if other == task]
            writer.add_scalar(f"loss/{task}", sum(own) / len(own), number)
        writer.add_scalar("rate", rate, number)

    def scored(self, line: dict[str, Any]) -> None:
        writer = self._open()
        for split in ("dev", "select"):
            for task, scores in line.get(split, {}).items():
                for metric, score in scores.items():
                    writer.add_scalar(f"{split}/{task}/{metric}", score, self.step)
        writer.add_scalar("select_score", line["select_score"], self.step)
        writer.flush()

    def _open(self) -> "SummaryWriter":
        """The writer; its file is made when the first number is written, because a new run wants an empty folder."""
        from torch.utils.tensorboard import SummaryWriter

        if self.writer is None:
            self.writer = SummaryWriter(str(self.run / FOLDER), purge_step=self.purged)
        return self.writer


def check_tensorboard() -> None:
    """Looks whether TensorBoard is installed.

    Raises:
        MissingExtra: it is not.
    """
    if find_spec("tensorboard") is None:
        raise MissingExtra("tensorboard", "tensorboard")
