"""Starts a sweep, or takes up one that was killed, and sees it to its end."""

from __future__ import annotations

import dataclasses
import shutil
import signal
import time
import uuid
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ubn_sweep import schema
from ubn_sweep.errors import UserError
from ubn_sweep.masking import masked_values
from ubn_sweep.records.attempts import Attempts
from ubn_sweep.records.environment import changed_environment, describe_environment
from ubn_sweep.records.events import AttemptStarted, Event, SweepEnded, SweepStarted
from ubn_sweep.records.folder import SweepFolder, existing_sweeps
from ubn_sweep.records.journal import Journal, stream
from ubn_sweep.sweep.deciding.priors import learn_from
from ubn_sweep.sweep.deciding.state import SweepState, TrialState
from ubn_sweep.sweep.running.copies import written_passwords
from ubn_sweep.sweep.running.dispatch import Dispatch, Tell
from ubn_sweep.sweep.running.executor import Executor
from ubn_sweep.sweep.running.interruption import Interruption, interruptible
from ubn_sweep.sweep.running.last_words import last_words
from ubn_sweep.sweep.running.lock import sweep_lock
from ubn_sweep.sweep.running.ray.executor import RayExecutor
from ubn_sweep.sweep.spec.loading import spec_from_plain
from ubn_sweep.sweep.spec.spec import SweepSpec, check_name


@dataclass(frozen=True, kw_only=True)
class SweepResult:
    """How a sweep stands when its process ends."""

    sweep: str
    folder: Path
    counts: dict[str, int]
    """Trials by how they ended."""
    best: TrialState | None
    finished: bool
    """False when it was interrupted, or stopped by itself: `ubn-sweep resume` goes on."""
    spec: SweepSpec
    exhausted: bool
    """Whether the space held fewer different configs than trials were asked for."""
    stopped: str | None = None
    """Why it stopped by itself; None where it did not."""
    signal: int | None = None
    """Which signal interrupted it; None where none did."""


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


def start_sweep(
    spec: SweepSpec, *, home: Path, name: str | None, surroundings: Surroundings = Surroundings()
) -> SweepResult:
    """Starts a new sweep in a folder of its own.

    Raises:
        UserError: the name is taken, the folder cannot be written, the data is not there.
    """
    check_runnable(spec)
    priors = learn_from(spec, home)
    folder = new_folder(home, spec.name if name is None else name, may_count_up=name is None)
    spec = dataclasses.replace(spec, name=folder.name)
    with sweep_lock(folder):
        folder.spec.write_text(schema.dump_yaml(masked_values(schema.to_plain(spec))), encoding="utf-8")
        with Journal(folder.path) as journal:
            if written_passwords(spec):
                journal.keep_private()
            journal.append(
                SweepStarted(
                    time_s=time.time(),
                    sweep_id=uuid.uuid4().hex,
                    name=folder.name,
                    spec=schema.to_plain(spec),
                    environment=describe_environment(),
                    task=spec.find_task().record(spec.base).to_plain(),
                )
            )
            state = SweepState(spec, record=journal.append)
            state.learn(priors)
            return _run(state, folder, journal, attempt=1, surroundings=surroundings)


def resume_sweep(
    folder: SweepFolder, *, retry_failed: bool = False, surroundings: Surroundings = Surroundings()
) -> SweepResult:
    """Takes up a sweep from its journal; does nothing where it is finished.

    Args:
        retry_failed: whether trials that failed are taken up again.

    Raises:
        UserError: another process runs it, its data has gone, or the journal cannot be read.
    """
    with sweep_lock(folder), Journal(folder.path) as journal:
        spec = recorded_spec(stream(folder.path))
        state = SweepState(spec, record=journal.append)
        attempts = Attempts()
        state.replay(attempts.passing(stream(folder.path)))
        if retry_failed:
            surroundings.tell(f"{state.retry_failed()} failed trials are tried again")
        if not state.finished:
            check_runnable(spec)
            for line in changed_environment(attempts.environment, describe_environment()):
                surroundings.tell(line)
        if state.finished and attempts.ended:
            return _result(state, folder)
        return _run(state, folder, journal, attempt=attempts.count + 1, surroundings=surroundings)


def recorded_spec(events: Iterable[Event]) -> SweepSpec:
    """The spec that a journal begins with."""
    started = next(iter(events), None)
    if not isinstance(started, SweepStarted):
        raise UserError(
            "the journal does not begin with the sweep's record: the sweep never started; run it anew"
        )
    return spec_from_plain(started.spec)


def check_runnable(spec: SweepSpec) -> None:
    """What can be known before anything starts: that the data is there. The task itself was found with the spec.

    Raises:
        UserError: the data is not there, or trials would need a GPU that they do not take.
    """
    spec.find_task().check(spec.base)
    if getattr(spec.base, "device", None) == "cuda" and spec.resources.gpus_per_trial == 0:
        raise UserError(
            "base.device: is cuda, but resources.gpus_per_trial is 0, and a trial sees the GPUs alone that it takes: "
            "set resources.gpus_per_trial=1, or less to share one"
        )


def new_folder(home: Path, name: str, *, may_count_up: bool) -> SweepFolder:
    """Creates the folder of a new sweep; `name-2`, `name-3` and so on where the name came from the spec and is taken.

    Raises:
        UserError: the user's own name is taken, or the folder cannot be written.
    """
    check_name(name)
    taken = set(existing_sweeps(home))
    free = name
    if may_count_up:
        count = 1
        while free in taken or (home / free).exists():
            count += 1
            free = f"{name}-{count}"
    elif name in taken or (home / name).exists():
        raise UserError(
            f"--name: there is a sweep `{name}` in {home} already: choose another name, "
            f"or go on with it by `ubn-sweep resume {name}`"
        )
    folder = SweepFolder(home=home, name=free)
    try:
        folder.path.mkdir(parents=True)
        folder.lock.touch()
    except OSError as error:
        raise UserError(
            f"{folder.path}: cannot be written ({error.strerror}): start from a folder that you may write to"
        ) from error
    return folder


def _run(
    state: SweepState, folder: SweepFolder, journal: Journal, *, attempt: int, surroundings: Surroundings
) -> SweepResult:
    started = AttemptStarted(time_s=time.time(), attempt=attempt, environment=describe_environment())
    journal.append(started)
    dispatch = Dispatch(state, folder, attempt=attempt, tell=surroundings.tell)
    go_on = f"the sweep ended early; go on with it by `ubn-sweep resume {folder.name}`"
    with interruptible() as interruption, last_words(go_on):
        try:
            _train_and_follow(state, dispatch, journal, interruption, surroundings)
        except KeyboardInterrupt:
            if interruption.number is None:
                interruption.number = signal.SIGINT
        except BaseException:
            surroundings.tell(go_on)
            raise
    return dataclasses.replace(_result(state, folder), stopped=dispatch.stopped, signal=interruption.number)


def _train_and_follow(
    state: SweepState,
    dispatch: Dispatch,
    journal: Journal,
    interruption: Interruption,
    surroundings: Surroundings,
) -> None:
    folder = dispatch.folder
    with ExitStack() as stack:
        if surroundings.follow is not None:
            stack.enter_context(surroundings.follow(state, folder))
        if not state.finished:
            try:
                with surroundings.watch(state, folder) if surroundings.watch is not None else nullcontext():
                    surroundings.executor.run(dispatch, interruption)
            finally:
                journal.check()  # whatever an executor makes of it, this is what the user can mend
        if state.finished:
            journal.append(SweepEnded(time_s=time.time()))
            shutil.rmtree(folder.checkpoints, ignore_errors=True)
            shutil.rmtree(folder.ray, ignore_errors=True)


def _result(state: SweepState, folder: SweepFolder) -> SweepResult:
    return SweepResult(
        sweep=folder.name,
        folder=folder.path,
        counts=dict(state.counts),
        best=state.best,
        finished=state.finished,
        spec=state.spec,
        exhausted=state.exhausted,
    )
