"""A run from start to end, or from a snapshot to the same end."""

import time
from contextlib import nullcontext
from typing import Any

import minbert.distributed as distributed
from minbert.checkpoint import save_model
from minbert.encoder import peak_memory
from minbert.errors import MinbertError
from minbert.metrics import norm_mean, raw_mean
from minbert.optimizer import AdamWSpec
from minbert.recipe import Stage
from minbert.runs import Run, Silent, whole_lines
from minbert.training.conflicts import FILE as CONFLICTS
from minbert.training.conflicts import ConflictRecord, layer_groups
from minbert.training.evaluator import Scored, correlations, evaluate, means, metrics
from minbert.training.forward import Frozen, Kept, Live
from minbert.training.interruption import interruptible
from minbert.training.plan import Slot, StagePlan
from minbert.training.progress import Listener
from minbert.training.rates import rates
from minbert.training.setup import Setup
from minbert.training.snapshot import Place, load_memories, load_place, save_snapshot
from minbert.training.step import Stepper
from minbert.training.teaching import Teaching, teach
from minbert.training.trainable import check_trainable, encoder_start, moves_vectors, trainable, trained_numbers
from minbert.training.unfreezing import Unfreezing
from minbert.training.work import PHASE_ROWS, done_work, teaching_work, whole_work, work_left

SNAPSHOT_SECONDS = 60.0
"""The least time between two snapshots: what a kill can lose."""

SNAPSHOT_SHARE = 0.02
"""Where a slow disk makes snapshots dear they come more rarely, so as to take about this share of the time."""

STOP = 2
"""What a process says after a step when it was asked to stop; 1: a snapshot is due."""


class Interrupted(MinbertError):
    """The user pressed Ctrl-C; the run can be resumed."""

    exit_status = 130


class Trainer:
    """Trains what a setup holds, into a run folder.

    Args:
        setup: rows, model, recipe.
        run: the folder.
        listener: hears of the work.
        snapshot_seconds: the least time between two snapshots.

    Raises:
        RecipeError: a stage has nothing to train.
        DataError: a loss has no rows to learn from.
    """

    def __init__(self, setup: Setup, run: Run, listener: Listener, snapshot_seconds: float = SNAPSHOT_SECONDS) -> None:
        self.setup, self.run, self.listener = setup, run, listener
        self.snapshot_seconds = snapshot_seconds
        self.place = Place()
        self.plans = {
            name: StagePlan(name, stage, setup.data, setup.recipe.seed) for name, stage in setup.recipe.stages.items()
        }
        check_trainable(setup, self.plans)
        self.trained = set(setup.start.trained if setup.start else ())
        self.stopping = False
        self.kept: Kept = {}
        self.best_scores: dict[str, dict[str, Scored]] = {}
        self.start = encoder_start(setup)
        self.next_snapshot = time.monotonic() + snapshot_seconds

    def train(self) -> None:
        """All stages; returns when the best checkpoint stands."""
        folder = self.run.valid("snapshot")
        if folder:
            self.place = load_place(folder, self.setup.model)
            self.listener.resumed(self._steps_done())
        self.metrics = self.run.journal("metrics.jsonl", self.place.journal)
        recorded = any(stage.conflicts_every for stage in self.setup.recipe.stages.values())
        self.conflicts = self.run.journal(CONFLICTS, self.place.conflicts) if recorded else Silent()
        self.times = self.run.journal("times.jsonl", whole_lines(self.run.folder / "times.jsonl"))
        self.listener.begin(whole_work(self.setup, self.plans), done_work(self.setup, self.plans, self.place))
        try:
            with interruptible(self._ask_to_stop, self.listener.say):
                taught = self.setup.recipe.taught()
                for number, (name, stage) in enumerate(self.setup.recipe.stages.items()):
                    self.trained |= taught[name]
                    if number >= self.place.stage:
                        self._stage(name, stage, folder)
                        folder = None
                if not self.place.best:
                    self._save("best")
        finally:
            self.metrics.close()
            self.conflicts.close()
            self.times.close()

    def _stage(self, name: str, stage: Stage, folder: Any) -> None:
        """One stage, from where the place says."""
        plan, place = self.plans[name], self.place
        stepper = self._stepper(name, stage, plan)
        if folder:
            stepper.memories |= load_memories(folder, self.setup.model, stepper.optimizer)
            if stepper.shards:
                stepper.shards.drop()
        while place.epoch < stage.epochs and not self._spent():
            begin = time.monotonic()
            self._epoch(name, plan, stepper)
            self._snapshot(stepper)
            with stepper.averaged():
                scores = self._epoch_end(name, begin)
            stepper.memories["mixture"] = plan.after_epoch(place.epoch, stepper.memories["mixture"], scores)
            place.epoch, place.step, place.sums, place.counts = place.epoch + 1, 0, {}, {}
            self._snapshot(stepper)
        if place.epoch < stage.epochs:
            self.listener.advance(work_left(self.setup, plan, place.epoch))
        place.stage, place.epoch, place.peak, place.waited = place.stage + 1, 0, None, 0

    def _stepper(self, name: str, stage: Stage, plan: StagePlan) -> Stepper:
        """What makes the steps of a stage, before the first one."""
        model, teaching = self.setup.model, self._teaching(plan)
        shared, own = trainable(self.setup, stage, list(plan.tasks))
        moving = moves_vectors(model)
        assert isinstance(stage.optimizer, AdamWSpec)
        optimizer = stage.optimizer.build(rates(model, stage, shared, own), self.start)
        losses = {task: part.losses for task, part in plan.tasks.items()}
        self.listener.doing(f"{name}: encoding once" if not moving else name)
        if self.setup.recipe.encoder.adapters:
            self.listener.say(f"{name} {trained_numbers(model)}")
        model.train()
        # A frozen encoder runs as it will be used: without dropout, so that encodings can be computed once.
        model.encoder.train(moving)
        of_tasks = [parameter for parameters in own.values() for parameter in parameters]
        live = Live(self.setup, losses, self._advance, stage.regularizers, [*shared, *of_tasks])
        self.forward = live if moving else Frozen(self.setup, losses, plan, self.kept, self._advance)
        groups = layer_groups(model.encoder, shared)
        record = ConflictRecord(name, stage.conflicts_every, plan.steps_per_epoch, groups, self.conflicts)
        thaw = Unfreezing(model.encoder, shared, stage.unfreeze)
        given = (stage, name, self.setup.recipe.seed, losses, (shared, own), optimizer, self.forward)
        stepper = Stepper(*given, record, teaching, thaw)
        stepper.memories["mixture"] = plan.start()
        return stepper

    def _spent(self) -> bool:
        """Whether the stage has waited for a better score as long as it may; all processes say the same."""
        patience = self.setup.recipe.select.patience
        return bool(patience and distributed.first_says(self.place.waited >= patience))

    def _teaching(self, plan: StagePlan) -> Teaching | None:
        """What the stage's teachers say of its rows, if it has any."""
        work = teaching_work(self.setup, plan)
        if not work:
            return None
        # Nothing is trained now, so a signal may end it at once.
        self.setup.model.eval()
        used = plan.rows_used()
        return teach(self.setup, plan.name, used, work, self.listener, self._advance, self.run)

    def _epoch(self, name: str, plan: StagePlan, stepper: Stepper) -> None:
        """The steps of an epoch that are not done yet."""
        place, steps = self.place, plan.epoch(self.place.epoch, stepper.memories["mixture"])
        ends = plan.phase_ends(steps)
        self.forward.follow([slot for step in steps[place.step :] for slot in step])
        for number in range(place.step, len(steps)):
            self.listener.doing(f"{name} {place.epoch + 1}/{plan.stage.epochs}")
            step = place.epoch * len(steps) + number
            losses = stepper(step, plan.steps, steps[number])
            self.listener.stepped(self._steps_done() + 1, losses, plan.stage.lr * plan.stage.schedule(step, plan.steps))
            for task, loss in losses:
                place.sums[task] = place.sums.get(task, 0.0) + loss
                place.counts[task] = place.counts.get(task, 0) + 1
            place.step = number + 1
            if number in ends:
                with stepper.averaged():
                    self._phase_end(name, steps[number])
            # A signal reaches the processes at different steps, and their clocks differ; they act at the same one.
            due = distributed.largest(STOP if self.stopping else int(time.monotonic() > self.next_snapshot))
            if due:
                self._snapshot(stepper)
            if due == STOP:
                self._stop()

    def _steps_done(self) -> int:
        """How many steps lie behind the place, over all stages as they are planned."""
        plans, place = list(self.plans.values()), self.place
        here = place.epoch * plans[place.stage].steps_per_epoch + place.step if place.stage < len(plans) else 0
        return sum(plan.steps for plan in plans[: place.stage]) + here

    def _phase_end(self, name: str, step: list[Slot]) -> None:
        """Scores all tasks after one task's phase: a row of the forgetting matrix."""
        task, place = step[-1].task, self.place
        self.listener.doing(f"scoring after {task}")
        # Not to be left at once: no snapshot stands just before it.
        found = evaluate(self.setup, "dev", self.trained, self.listener.advance, PHASE_ROWS)
        line = {"stage": name, "epoch": place.epoch + 1, "task": task, "heads": sorted(self.trained)}
        self.metrics.add(event="phase", **line, dev=metrics(found))

    def _epoch_end(self, name: str, begin: float) -> dict[str, float]:
        """Scores all tasks, keeps the checkpoint if it is the best, writes the last one; each task's own metric."""
        place, recipe = self.place, self.setup.recipe
        self.listener.doing("scoring")
        losses = {task: place.sums[task] / place.counts[task] for task in place.sums}
        line: dict[str, Any] = {"event": "epoch", "stage": name, "epoch": place.epoch + 1, "loss": losses}
        splits = ("dev",) if recipe.select.on == "dev" else ("dev", "select")
        found = {split: evaluate(self.setup, split, self.trained, self._advance) for split in splits}
        line |= {split: metrics(scores) for split, scores in found.items()}
        chosen = line[splits[-1]]
        line |= means(self.setup.model.tasks, line["dev"])
        line["select_score"] = self._select(chosen)
        line["select_tasks"] = sorted(self.trained)
        place.scored(line["select_score"])
        epochs = recipe.stages[name].epochs
        if place.epoch + 1 < epochs and self._spent():
            line["stopped"] = {"of": epochs, "patience": recipe.select.patience}
        self.metrics.add(**line)
        self.listener.say(_epoch_line(line, {n: t.scored_by for n, t in self.setup.model.tasks.items()}))
        self._save("last")
        # A mean over fewer tasks, from before a stage that trains more, says nothing beside this one.
        if line["select_tasks"] != place.best.get("select_tasks") or line["select_score"] > place.best["select_score"]:
            place.best = {key: line[key] for key in ("stage", "epoch", "select_score", "select_tasks")}
            self._save("best")
            self.best_scores = found
        seconds = round(time.monotonic() - begin, 2)
        self.times.add(stage=name, epoch=place.epoch + 1, seconds=seconds, peak_memory_mib=peak_memory())
        self.listener.scored(line)
        return {task: found[self.setup.model.tasks[task].scored_by] for task, found in chosen.items()}

    def _select(self, scores: dict[str, dict[str, float]]) -> float:
        """The weighted mean of the trained tasks' metrics, as `select` says; without heads, of embeddings' scores."""
        select, tasks = self.setup.recipe.select, self.setup.model.tasks
        counted = [name for name in tasks if name in (self.trained or tasks) and scores.get(name)]
        chosen = {name: scores[name][tasks[name].scored_by] for name in counted}
        weights = {name: select.weights.get(name, 1.0) for name in chosen}
        mapped = (
            {n: norm_mean({n: s}, correlations(tasks)) for n, s in chosen.items()}
            if select.kind == "mean_norm"
            else chosen
        )
        total = sum(weights.values())
        return raw_mean({n: s * weights[n] * len(mapped) / total for n, s in mapped.items()}) if total else 0.0

    def _save(self, name: str) -> None:
        self.run.checkpoint(name, lambda folder: save_model(folder, self.setup.model))

    def _snapshot(self, stepper: Stepper) -> None:
        """Writes down where the run is."""
        begin = time.monotonic()
        self.place.journal, self.place.conflicts = self.metrics.size(), self.conflicts.size()
        place, model = self.place, self.setup.model
        with stepper.shards.gathered() if stepper.shards else nullcontext():
            self.run.checkpoint(
                "snapshot", lambda folder: save_snapshot(folder, place, model, stepper.optimizer, stepper.memories)
            )
        now = time.monotonic()
        rest = (now - begin) / SNAPSHOT_SHARE if self.snapshot_seconds else 0.0
        self.next_snapshot = now + max(self.snapshot_seconds, rest)

    def _advance(self, work: int) -> None:
        self.listener.advance(work)
        # A forward pass of scoring can be left at once, for the snapshot before it stands; by all or by none.
        if self.stopping and not self.setup.model.training and distributed.size() == 1:
            self._stop()

    def _stop(self) -> None:
        raise Interrupted(f"stopped; the run in {self.run.folder} goes on with resume=True")

    def _ask_to_stop(self) -> bool:
        asked, self.stopping = self.stopping, True
        return asked


def _epoch_line(line: dict[str, Any], metrics: dict[str, str]) -> str:
    """An epoch in one line for the screen."""
    scores = "  ".join(f"{task} {found[metrics[task]]:.3f}" for task, found in line["dev"].items())
    raw = f"  raw {line['raw']:.3f}" if "raw" in line else ""
    over = f"  no better for {line['stopped']['patience']}: the stage ends" if "stopped" in line else ""
    return f"{line['stage']} epoch {line['epoch']}:  {scores}{raw}{over}"
