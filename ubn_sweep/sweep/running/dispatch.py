"""Between the deciding and whoever runs trials: jobs go out, reports come back, and what goes wrong is tried again."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from ubn_sweep.records.events import FaultKind
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.sweep.deciding.state import SweepState
from ubn_sweep.sweep.deciding.trial import SweepTrial
from ubn_sweep.sweep.running.best_checkpoints import BestCheckpoints
from ubn_sweep.sweep.running.control import TrialOrders
from ubn_sweep.sweep.running.job import Job
from ubn_sweep.sweep.running.places import checkpoint_place, checkpoints_of, log_place
from ubn_sweep.sweep.spec.resources import Shape
from ubn_sweep.training.fields import with_whole_paths
from ubn_sweep.training.trial import Report

Tell = Callable[[str], None]
"""Takes a line for the user."""
STOPPED_BY_USER = "stopped by the user"


class Dispatch:
    """Hands out the state's next trial as a job, and tells the state what came of it.

    One thread calls it: the controller's. A process that the sweep has given up may still report: what is not of a
    trial's present attempt is passed over. A trial that is over needs no checkpoints, but where the spec asks for
    them: the final training begins anew.

    Args:
        attempt: how often the sweep was started, from 1.
        tell: takes lines that the user should see at once.
    """

    def __init__(
        self, state: SweepState, folder: SweepFolder, *, attempt: int = 1, tell: Tell = lambda line: None
    ) -> None:
        self.state = state
        self.folder = folder
        self.attempt = attempt
        self.tell = tell
        self.stopped: str | None = None
        """Why the sweep must stop, to be resumed; None while it may go on."""
        self._orders = TrialOrders(folder)
        self._best = BestCheckpoints(state, folder)
        self._again: list[SweepTrial] = []
        self._starts: Counter[int] = Counter()
        self._running: dict[int, str] = {}
        self._heard_s: dict[int, float] = {}
        self._failed_in_a_row = 0

    # ---------------------------------------------------------------- out

    def next_job(self) -> Job | None:
        """The next trial, or one to be tried again; None when there is none for now."""
        if self.over:
            return None
        for number in sorted(self.state.waiting):  # at a rung, where nobody reports of them
            self._ends(number)
        while (trial := self._next_trial()) is not None and self._ends(trial.number):
            pass
        return None if trial is None else self._job(trial)

    @property
    def over(self) -> bool:
        """Whether to leave at once: all has ended, a stop rule is met, or the sweep must stop, to be resumed.

        A rule ends the trials that run as they stand; their checkpoints stay, for a sweep that goes on after all.
        """
        self._look_at_rules()
        return self.stopped is not None or self.state.finished

    @property
    def running(self) -> int:
        """How many trials are out; each of them may come back to be tried again."""
        return len(self._running)

    @property
    def running_shapes(self) -> list[Shape]:
        """What each trial takes that is out."""
        return [self._shape(self.state.trials[number]) for number in self._running]

    # ---------------------------------------------------------------- back

    def take(self, number: int, attempt: str, report: Report) -> bool:
        """Takes a trial's report; True means that this attempt at it is over and must stop."""
        if self._running.get(number) != attempt:
            return True
        self._heard_s[number] = time.monotonic()
        if report.note:
            self.state.fault(number, "checkpoint", report.note)
            self.tell(f"trial {number}: {report.note}")
        if report.ended == "failed":
            self.fault(number, attempt, report.kind, report.reason)
        elif report.epoch is not None and (lacking := self._lacking(report)) is not None:
            self._end(number, f"the trial reported no {lacking} {_but(report)}")
        elif report.epoch is not None and self.state.report(
            number,
            report.epoch,
            report.metrics,
            report.checkpoint,
            diverged=report.reason if report.ended == "diverged" else None,
            correct=report.correct,
        ):
            self._halted(number)
        elif report.ended is not None:
            self.state.end(number, report.ended, report.reason)
            self._over(number)
        if self._running.get(number) == attempt:
            self._ends(number)
        self._look_at_rules()
        return self._running.get(number) != attempt

    def returned(self, number: int, attempt: str) -> None:
        """The task's `train` came back; where the trial is not over by then, it has failed."""
        if self._running.get(number) == attempt:
            self._end(number, "the task returned before its last epoch")

    def fault(self, number: int, attempt: str, kind: FaultKind, reason: str) -> None:
        """An attempt ended badly: the trial is tried again as often as its spec allows, and has failed then."""
        if self._running.get(number) != attempt:
            return
        resources = self.state.spec.resources
        allowed = resources.worker_deaths if kind == "died" else resources.trial_retries
        times = self.state.fault(number, kind, reason)
        if times > allowed:
            died = f"its worker died {times} times: " if kind == "died" else ""
            self._end(number, f"{died}{reason}", counts=kind != "memory")
            return
        del self._running[number]
        self._again.append(self.state.trials[number])

    def lost(self, number: int, attempt: str) -> None:
        """An attempt never began, by no fault of the trial's: it is handed out again."""
        if self._running.get(number) == attempt:
            del self._running[number]
            self._again.append(self.state.trials[number])

    def silent_s(self, number: int) -> float:
        """How long nothing has been heard of a trial that is out, since it was handed out at most."""
        return time.monotonic() - self._heard_s[number]

    def started(self, number: int) -> None:
        """A trial's process begins with it now: its silence is counted from here."""
        self._heard_s[number] = time.monotonic()

    # ---------------------------------------------------------------- inside

    def _next_trial(self) -> SweepTrial | None:
        return self._again.pop(0) if self._again else self.state.next_trial()

    def _look_at_rules(self) -> None:
        if self.stopped is None and not self.state.finished and self.state.end_by_rule():
            self._running.clear()
            self._again.clear()

    def _ends(self, number: int) -> bool:
        """Whether the user wants a trial to end, which it then does; what it reported stays."""
        ends = self._orders.ends(number)
        if ends:
            self.state.end(number, "stopped", STOPPED_BY_USER, "user")
            self._forget(number)
        return ends

    def _job(self, trial: SweepTrial) -> Job:
        spec, shape = self.state.spec, self._shape(trial)
        self._starts[trial.number] += 1
        attempt = f"{self.attempt:03d}-{self._starts[trial.number]:02d}"
        self._running[trial.number] = attempt
        self._heard_s[trial.number] = time.monotonic()
        return Job(
            trial=trial.number,
            attempt=attempt,
            known_epoch=trial.epoch,
            config=with_whole_paths(spec.find_task().Config, trial.config),
            task=spec.task,
            task_folder=spec.task_folder,
            checkpoints=checkpoint_place(spec, self.folder, trial.number),
            checkpoint_every_epochs=spec.resources.checkpoint_every_epochs,
            keep_final=spec.resources.keep_best > 0 or spec.resources.keep_checkpoints,
            log=log_place(spec, self.folder, trial.number),
            workers=shape.workers,
            threads=shape.cpus,
            gpus=shape.gpus,
            timeout_s=spec.resources.epoch_timeout_s,
            worker_timeout_s=spec.resources.worker_timeout_s,
        )

    def _shape(self, trial: SweepTrial) -> Shape:
        """What the trial takes. Its workers stay as many as they were: its batches would change with them."""
        shape = self.state.spec.resources.shape(trial.config)
        return replace(shape, workers=trial.workers)

    def _lacking(self, report: Report) -> str | None:
        """What a report should hold to be judged by, and does not; None where it holds all."""
        objective = self.state.spec.objective
        needed = (*objective.metrics, *objective.constraints) if report.ended is None else ()
        return next((name for name in needed if name not in report.metrics), None)

    def _end(self, number: int, reason: str, *, counts: bool = True) -> None:
        """A trial has failed. A config that needs too much memory says nothing of the others, and is not counted."""
        self.state.end(number, "failed", reason)
        self._forget(number)
        self._failed_in_a_row += counts
        limit = self.state.spec.resources.failures_in_a_row
        if limit is not None and self._failed_in_a_row >= limit:
            self.stopped = (
                f"{self._failed_in_a_row} trials failed one after another, the last of them trial {number}: "
                f"{reason.partition(chr(10))[0]}"
            )

    def _halted(self, number: int) -> None:
        """A trial has ended, or waits at a rung: then its checkpoints stay, and it is handed out again if promoted."""
        if number not in self.state.waiting:
            self._over(number)
            return
        self._failed_in_a_row = 0
        self._running.pop(number, None)
        self._heard_s.pop(number, None)

    def _over(self, number: int) -> None:
        self._failed_in_a_row = 0
        try:
            self._best.consider(number)
        except OSError as error:  # of a storage
            self.tell(f"trial {number}: its checkpoint is not kept among the best ({error})")
        self._forget(number)

    def _forget(self, number: int) -> None:
        self._running.pop(number, None)
        self._heard_s.pop(number, None)
        checkpoints = checkpoints_of(self.state.spec, self.folder, number)
        # A storage that is away for a moment costs its space, and no trial.
        with suppress(OSError):
            if self.state.spec.resources.keep_checkpoints:
                checkpoints.keep_newest()
            else:
                checkpoints.remove()


def _but(report: Report) -> str:
    return f"(it reported {', '.join(sorted(report.metrics)[:8]) or 'no metric at all'})"
