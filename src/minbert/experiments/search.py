"""A search for settings: trials in a journal, pruned on the select split, resumed where it was."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from minbert.errors import MinbertError, MissingExtra, RecipeError, RunError, TrainingError
from minbert.experiments.hooks import Hooks
from minbert.experiments.inputs import Given
from minbert.experiments.ranges import Setting, Space
from minbert.runs import Journal, Run, read_lines, whole_lines
from minbert.storage import write_text
from minbert.training import Listener, Several, train

if TYPE_CHECKING:
    import optuna

RECORD, JOURNAL = "search.json", "trials.jsonl"


@dataclass(frozen=True)
class Trial:
    """One trial.

    Attributes:
        number: from 1; its run is in `trial-<number>`.
        state: `done`, `pruned` or `failed`.
        settings: by path.
        scores: the best select score; or with several objectives the score of each task; empty unless done.
        remark: why it failed.
    """

    number: int
    state: str
    settings: dict[str, Setting]
    scores: tuple[float, ...] = ()
    remark: str = ""


class Pruned(MinbertError):
    """A trial is not worth its time."""


Listen = Callable[[int, dict[str, Setting]], AbstractContextManager[Listener]]
"""Gives a listener for a trial, by its number and settings."""


class Search:
    """A search in a folder.

    Args:
        space: the recipe and what may vary.
        folder: where trials and their journal are.
        pareto: one objective per task instead of the select score.

    Raises:
        MissingExtra: optuna is not installed.
        RecipeError: the recipe selects on dev.
        RunError: the folder holds something else.
    """

    def __init__(self, space: Space, folder: Path, pareto: bool = False) -> None:
        self.space, self.folder = space, folder
        taught = space.recipe.taught()
        trained: set[str] = set().union(*taught.values())
        # The stages after which another one trains further tasks.
        self.narrow = {name for name, tasks in taught.items() if tasks < trained}
        self.objectives = tuple(task for task in space.recipe.tasks if task in trained) if pareto else ("select score",)
        if space.recipe.select.on == "dev":
            raise RecipeError(
                "select.on: expected a share of train to choose the settings on, found dev: scores on dev would be "
                "those of the luckiest trial; do: --set select.on=0.1"
            )
        if not space.recipe.stages:
            raise RecipeError("stages: expected stages to tune, found none")
        try:
            import optuna
            import optuna.storages.journal
        except ImportError:
            raise MissingExtra("optuna", "tune") from None
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna = optuna
        self._check_place()

    def _check_place(self) -> None:
        """Whether the folder is new or holds this search."""
        record = {
            "recipe_sha256": self.space.recipe.digest,
            "ranges": {path: span.model_dump(mode="json") for path, span in self.space.ranges.items()},
            "objectives": list(self.objectives),
        }
        path = self.folder / RECORD
        if path.is_file():
            if Run(self.folder).read(RECORD) != record:
                raise RunError(
                    f"{self.folder}: holds a search with another recipe, ranges or objectives; choose another --run"
                )
        elif self.folder.is_dir() and any(not path.name.startswith(".") for path in self.folder.iterdir()):
            raise RunError(f"{self.folder}: expected an empty or new folder, found other files; choose another --run")
        self._record = json.dumps(record, indent=2) + "\n"

    def run(self, trials: int, listen: Listen, given: Given) -> Iterator[Trial]:
        """Does trials until there are so many; each when the next result is asked for.

        Args:
            trials: how many there shall be, with those of before.
            listen: gives the listener of a trial.
            given: what each run is given besides its recipe.

        Yields:
            Each trial that ended.

        Raises:
            Interrupted: Ctrl-C; the trial in hand can go on.
            RunError: another process searches in this folder.
        """
        with Run(self.folder).locked():
            if not (self.folder / RECORD).is_file():
                write_text(self.folder / RECORD, self._record)
            # A kill may have left half a line; the next one would be lost with it.
            Journal(self.folder / JOURNAL, whole_lines(self.folder / JOURNAL)).close()
            study = self._study()
            self._take_up(study)
            while (ended := len(_ended(study))) < trials:
                # A sampler per trial: a search that was stopped goes on as if it had not been.
                study.sampler = self._optuna.samplers.TPESampler(seed=1000 * self.space.recipe.seed + ended)
                yield self._trial(study, study.ask(), listen, given)

    def trials(self) -> list[Trial]:
        """Every trial that has ended."""
        return [self._seen(found) for found in _ended(self._study())]

    def best(self) -> list[Trial]:
        """The best trial; with several objectives the Pareto front, the one with the highest mean first."""
        front = [self._seen(found) for found in self._study().best_trials]
        return sorted(front, key=lambda trial: -sum(trial.scores))

    def seconds(self) -> list[float]:
        """What the epochs of each ended trial took."""
        files = [read_lines(self.place(trial.number) / "times.jsonl") for trial in self.trials()]
        return [sum(float(line["seconds"]) for line in lines) for lines in files]

    def place(self, number: int) -> Path:
        """The run of a trial."""
        return self.folder / f"trial-{number:03d}"

    def _study(self) -> "optuna.Study":
        """The study, from the journal."""
        journal, path = self._optuna.storages.journal, self.folder / JOURNAL
        storage = journal.JournalFileBackend(str(path), journal.JournalFileOpenLock(str(path)))
        return self._optuna.create_study(
            storage=self._optuna.storages.JournalStorage(storage),
            pruner=self._optuna.pruners.MedianPruner(),
            study_name="search",
            directions=["maximize"] * len(self.objectives),
            load_if_exists=True,
        )

    def _take_up(self, study: "optuna.Study") -> None:
        """Puts what was stopped first, with its settings; a new search begins with the recipe's own."""
        state = self._optuna.trial.TrialState
        if not study.get_trials(deepcopy=False):
            study.enqueue_trial(dict(self.space.start()))
        for found in study.get_trials(states=(state.RUNNING,)):
            study.enqueue_trial(found.params)
            study.tell(found.number, state=state.FAIL)
        for found in _ended(study):
            _shrink(self.place(found.user_attrs["run"]))

    def _trial(self, study: "optuna.Study", trial: "optuna.Trial", listen: Listen, given: Given) -> Trial:
        """One trial, from where it is."""
        state, run = self._optuna.trial.TrialState, len(_ended(study)) + 1
        trial.set_user_attr("run", run)
        settings = {path: span.suggest(trial, path) for path, span in self.space.ranges.items()}
        folder, reported = self.place(run), set[int]()
        try:
            with listen(run, settings) as listener:
                if not Run(folder).finished:
                    judge = Hooks(on_scored=lambda line: self._judge(trial, folder, reported))
                    recipe, device = self.space.at(settings), given.device
                    train(
                        recipe,
                        folder,
                        given.data,
                        device=device,
                        resume=True,
                        listener=Several(listener, judge),
                        skip_bad=given.skip_bad,
                        with_floors=False,
                    )
            study.tell(trial, self._scores(folder))
        except Pruned:
            study.tell(trial, state=state.PRUNED)
        except (RecipeError, TrainingError, torch.OutOfMemoryError) as fault:
            trial.set_user_attr("failure", str(fault))
            # The search keeps away from settings that were pruned; of those that failed it would learn nothing.
            study.tell(trial, state=state.PRUNED if len(self.objectives) == 1 else state.FAIL)
        _shrink(folder)
        return self._seen(study.trials[trial.number])

    def _judge(self, trial: "optuna.Trial", folder: Path, reported: set[int]) -> None:
        """Reports the epochs so far, those of before a stop too, and ends a trial that is under the median."""
        if len(self.objectives) > 1:
            return
        # Of a trial its best score counts, and one over fewer tasks would stand for all that come later.
        lines = [line for line in _epochs(folder) if line.get("stage") not in self.narrow]
        for number, line in enumerate(lines, 1):
            if number not in reported:
                trial.report(line["select_score"], number)
                reported.add(number)
        if lines and trial.should_prune():
            raise Pruned(f"pruned after {len(lines)} epochs")

    def _scores(self, folder: Path) -> list[float]:
        """What a finished trial has reached, in the order of the objectives."""
        result = Run(folder).read("result.json")
        best = result["best"]
        if len(self.objectives) == 1:
            return [float(best["select_score"])]
        place = (best["stage"], best["epoch"])
        (line,) = (line for line in _epochs(folder) if (line["stage"], line["epoch"]) == place)
        return [float(line["select"][name].get(result["tasks"][name]["metric"], 0.0)) for name in self.objectives]

    def _seen(self, found: "optuna.trial.FrozenTrial") -> Trial:
        """What became of a trial."""
        failure = str(found.user_attrs.get("failure", ""))
        state = "failed" if failure else "done" if found.state.name == "COMPLETE" else "pruned"
        scores = tuple(found.values) if state == "done" else ()
        return Trial(found.user_attrs["run"], state, dict(found.params), scores, failure)


def _ended(study: "optuna.Study") -> "list[optuna.trial.FrozenTrial]":
    """The trials that came to an end; one that was stopped did not."""
    return [
        found
        for found in study.get_trials(deepcopy=False)
        if found.state.name in ("COMPLETE", "PRUNED") or "failure" in found.user_attrs
    ]


def _epochs(folder: Path) -> list[dict[str, Any]]:
    return [line for line in read_lines(folder / "metrics.jsonl") if line["event"] == "epoch"]


def _shrink(folder: Path) -> None:
    """Removes the weights of a trial: its best settings are trained again anyway."""
    for name in ("best", "last", "snapshot"):
        for path in (folder / name, folder / f".{name}.old"):
            shutil.rmtree(path, ignore_errors=True)
