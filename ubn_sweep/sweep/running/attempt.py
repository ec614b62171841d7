"""One life of a sweep's process: from where the one before left off to the end, or to an interruption."""

from __future__ import annotations

import dataclasses
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ubn_sweep.invocation import as_typed
from ubn_sweep.records.environment import describe_environment
from ubn_sweep.records.events import AttemptStarted, SweepEnded, SweepInterrupted
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.journal import Journal
from ubn_sweep.sweep.deciding.state import SweepState
from ubn_sweep.sweep.deciding.trial import SweepTrial
from ubn_sweep.sweep.running.control import Ear, listening
from ubn_sweep.sweep.running.dispatch import Dispatch, Tell
from ubn_sweep.sweep.running.executor import Executor
from ubn_sweep.sweep.running.going_on import remove_checkpoints
from ubn_sweep.sweep.running.interruption import Interruption, interruptible
from ubn_sweep.sweep.running.last_words import last_words
from ubn_sweep.sweep.running.ray.executor import RayExecutor
from ubn_sweep.sweep.spec.spec import SweepSpec

ENDING = "interrupted: ending the trials and delivering the records; it takes some seconds"


@dataclass(frozen=True, kw_only=True)
class SweepResult:
    """How a sweep stands when its process ends."""

    sweep: str
    folder: Path
    counts: dict[str, int]
    """Trials by how they ended."""
    best: SweepTrial | None
    finished: bool
    """False when it was interrupted, or stopped by itself: `ubn-sweep resume` goes on."""
    spec: SweepSpec
    ending: str | None
    """Why fewer trials were made than asked for; None where that is not so."""
    refused: str | None = None
    """Why the trial's config did not allow the last of the points that it refused; None where it refused none."""
    ended_by: str | None = None
    """The stop rule that ended it, in a line."""
    stopped: str | None = None
    """Why it stopped by itself; None where it did not."""
    signal: int | None = None
    """Which signal interrupted it; None where none did."""
    front: tuple[SweepTrial, ...] = ()
    """With two objectives, the completed trials that none beats in both; empty with one."""
    word: str = "interrupted"
    """How it is called when it was not finished: `interrupted`, `stopped`, `paused`."""

    @property
    def typed(self) -> str:
        """What a command takes for the sweep, from the current folder."""
        return SweepFolder(home=self.folder.parent, name=self.sweep).typed


Watch = Callable[[SweepState, SweepFolder], AbstractContextManager[Any]]


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a sweep runs in, which is none of the spec's business."""

    executor: Executor = field(default_factory=RayExecutor)
    """Who runs the trials."""
    watch: Watch | None = None
    """Shows the sweep while it runs."""
    follow: Watch | None = None
    """Copies the journal to where people look: MLflow, the Optuna storage."""
    tell: Tell = lambda line: None
    """Takes lines that the user should see at once."""


def run_attempt(
    state: SweepState, folder: SweepFolder, journal: Journal, *, attempt: int, surroundings: Surroundings
) -> SweepResult:
    """Runs what remains of a sweep. Ctrl-C, SIGTERM and an order to stop leave one that goes on later."""
    started = AttemptStarted(time_s=time.time(), attempt=attempt, environment=describe_environment())
    state.note(started)
    dispatch = Dispatch(state, folder, attempt=attempt, tell=surroundings.tell)
    go_on = as_typed(f"the sweep ended early; go on with it by `ubn-sweep resume {folder.typed}`")
    word = "interrupted"
    with interruptible(lambda: surroundings.tell(ENDING)) as interruption, last_words(go_on):
        try:
            word = _train_and_follow(state, dispatch, journal, interruption, surroundings)
        except KeyboardInterrupt:
            interruption.number = interruption.number or signal.SIGINT
        except BaseException:
            surroundings.tell(go_on)
            raise
    return dataclasses.replace(
        result_of(state, folder), stopped=dispatch.stopped, signal=interruption.number, word=word
    )


def result_of(state: SweepState, folder: SweepFolder) -> SweepResult:
    """How a sweep stands."""
    return SweepResult(
        sweep=folder.name,
        folder=folder.path,
        counts=dict(state.counts),
        best=state.best,
        finished=state.finished,
        spec=state.spec,
        ending=state.ending,
        refused=state.refused[-1].reason if state.refused else None,
        ended_by=state.ended_by,
        front=tuple(state.front) if state.spec.objective.second is not None else (),
    )


def _train_and_follow(
    state: SweepState,
    dispatch: Dispatch,
    journal: Journal,
    interruption: Interruption,
    surroundings: Surroundings,
) -> str:
    """What the end is called, where it is no end: `interrupted`, or what the order to stop said."""
    folder = dispatch.folder
    word = "interrupted"
    with ExitStack() as stack:
        if surroundings.follow is not None:
            stack.enter_context(surroundings.follow(state, folder))
        ear = stack.enter_context(listening(folder))
        if not state.finished:
            _train(state, dispatch, journal, interruption, surroundings, ear)
        if not state.finished:
            word = word if ear.word is None else ear.word
            journal.append(SweepInterrupted(time_s=time.time(), word=word))
        else:
            journal.append(SweepEnded(time_s=time.time(), reason=state.ended_by or ""))
            remove_checkpoints(state, folder)
            shutil.rmtree(folder.ray, ignore_errors=True)
    return word


def _train(
    state: SweepState,
    dispatch: Dispatch,
    journal: Journal,
    interruption: Interruption,
    surroundings: Surroundings,
    ear: Ear,
) -> None:
    watch = surroundings.watch
    try:
        with nullcontext() if watch is None else watch(state, dispatch.folder):
            surroundings.executor.run(dispatch, interruption)
    except KeyboardInterrupt:
        if interruption.number is None:
            interruption.number = signal.SIGINT
    finally:
        ear.listens = False
        journal.check()  # whatever an executor makes of it, this is what the user can mend
