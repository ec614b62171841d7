"""Starts a sweep, or takes up one that was killed, and sees it to its end."""

from __future__ import annotations

import dataclasses
import time
import uuid
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ubn_sweep import schema
from ubn_sweep.errors import UserError
from ubn_sweep.files import write_text
from ubn_sweep.masking import masked_values
from ubn_sweep.records.attempts import Attempts
from ubn_sweep.records.environment import changed_environment, describe_environment
from ubn_sweep.records.events import Event, SpecChanged, SweepStarted
from ubn_sweep.records.folder import SweepFolder, existing_sweeps
from ubn_sweep.records.journal import Journal, first_event, stream
from ubn_sweep.sweep.deciding.priors import learn_from
from ubn_sweep.sweep.deciding.state import SweepState
from ubn_sweep.sweep.running.attempt import Surroundings, SweepResult, result_of, run_attempt
from ubn_sweep.sweep.running.changes import changed_spec, hand_on
from ubn_sweep.sweep.running.copies import written_passwords
from ubn_sweep.sweep.running.going_on import going_on, in_words, restore_checkpoint
from ubn_sweep.sweep.running.lock import sweep_lock, taken_over
from ubn_sweep.sweep.running.places import stored_sweeps
from ubn_sweep.sweep.spec.loading import spec_from_plain
from ubn_sweep.sweep.spec.spec import SweepSpec, check_name

QUIETLY = Surroundings()
"""On Ray, without anybody who watches or follows."""


def start_sweep(
    spec: SweepSpec,
    *,
    home: Path,
    name: str | None,
    may_be_empty: bool = False,
    surroundings: Surroundings = QUIETLY,
) -> SweepResult:
    """Starts a new sweep in a folder of its own. `may_be_empty`: that of one killed before its first record will do.

    Raises:
        UserError: the name is taken, the folder cannot be written, the data is not there.
    """
    check_runnable(spec)
    priors = learn_from(spec, home)
    stored = stored_sweeps(spec)
    surroundings.executor.check(spec, home)
    folder = new_folder(
        home,
        spec.name if name is None else name,
        may_count_up=name is None,
        may_be_empty=may_be_empty,
        stored=stored,
    )
    spec = dataclasses.replace(spec, name=folder.name)
    with sweep_lock(folder, surroundings.tell) as beat:
        _write_spec(folder, spec)
        with Journal(folder.path, go_on=_go_on(folder)) as journal:
            beat.when_lost = lambda: journal.refuse(taken_over(folder))
            if written_passwords(spec):
                journal.keep_private()
            journal.append(
                SweepStarted(
                    time_s=time.time(),
                    sweep_id=uuid.uuid4().hex,
                    name=folder.name,
                    spec=schema.to_plain(spec),
                    environment=describe_environment() | {"data": _data_of(spec)},
                    task=spec.find_task().record(spec.base).to_plain(),
                )
            )
            state = SweepState(spec, record=journal.append)
            state.learn(priors)
            return run_attempt(state, folder, journal, attempt=1, surroundings=surroundings)


def resume_sweep(
    folder: SweepFolder,
    *,
    retry_failed: bool = False,
    assignments: Sequence[str] = (),
    surroundings: Surroundings = QUIETLY,
) -> SweepResult:
    """Takes up a sweep from its journal; does nothing where it is finished.

    Args:
        retry_failed: whether trials that failed are taken up again.
        assignments: `key=value` pairs that change its spec from here on, as far as trials stay comparable.

    Raises:
        UserError: another process runs it, its data has gone, the journal cannot be read, or a change is refused.
    """
    with (
        sweep_lock(folder, surroundings.tell) as beat,
        Journal(folder.path, go_on=_go_on(folder)) as journal,
    ):
        beat.when_lost = lambda: journal.refuse(taken_over(folder))
        spec, changes = changed_spec(recorded_spec(spec_events(folder)), assignments)
        state = SweepState(spec, record=journal.append)
        attempts = Attempts()
        state.replay(attempts.passing(stream(folder.path)))
        changed = {*attempts.changed, *changes}
        again = going_on(state, folder, changed=changed, retry_failed=retry_failed)
        if (again or not state.finished) and state.end_by_rule():
            again = []
        if again or not state.finished:
            check_runnable(spec)
            stored_sweeps(spec)  # for the look whether it can be written
            surroundings.executor.check(spec, folder.home)
            for line in changed_environment(attempts.environment, describe_environment()):
                surroundings.tell(line)
        if changes:
            _record_change(state, folder, journal, changes)
        for line in in_words(again):
            surroundings.tell(line)
        for one in again:
            restore_checkpoint(spec, folder, state.trials[one.event.trial])
            state.take_up(one.event)
        hand_on(state)
        if state.finished and attempts.ended:
            return result_of(state, folder)
        return run_attempt(state, folder, journal, attempt=attempts.count + 1, surroundings=surroundings)


def _record_change(state: SweepState, folder: SweepFolder, journal: Journal, changes: dict[str, Any]) -> None:
    if written_passwords(state.spec):
        journal.keep_private()
    plain = schema.to_plain(state.spec)
    state.note(SpecChanged(time_s=time.time(), spec=plain, changes=changes))
    _write_spec(folder, state.spec)


def recorded_spec(events: Iterable[Event]) -> SweepSpec:
    """The spec that a journal begins with, or the last one that it was changed to."""
    rest = iter(events)
    started = next(rest, None)
    if not isinstance(started, SweepStarted):
        raise UserError(
            "the journal does not begin with the sweep's record: the sweep never started; run it anew"
        )
    changed = [event.spec for event in rest if isinstance(event, SpecChanged)]
    return spec_from_plain(changed[-1] if changed else started.spec)


def spec_events(folder: SweepFolder) -> Iterator[Event]:
    """What `recorded_spec` needs of a sweep's journal."""
    return stream(folder.path, kinds=(SweepStarted, SpecChanged))


def _data_of(spec: SweepSpec) -> str | None:
    """The data's fingerprint, as it is when the sweep begins; None where it lies on other nodes alone."""
    try:
        return spec.find_task().fingerprint(spec.base)
    except (UserError, OSError):
        return None


def _write_spec(folder: SweepFolder, spec: SweepSpec) -> None:
    write_text(folder.spec, schema.dump_yaml(masked_values(schema.to_plain(spec))))


def has_begun(folder: SweepFolder) -> bool:
    """Whether a sweep's first record is there: a process may be killed before it."""
    return folder.journal.exists() and first_event(folder.path) is not None


def first_started(folder: SweepFolder) -> SweepStarted:
    """A sweep's first record.

    Raises:
        UserError: there is none.
    """
    started = first_event(folder.path)
    if not isinstance(started, SweepStarted):
        raise UserError(
            "the journal does not begin with the sweep's record: the sweep never started; run it anew"
        )
    return started


def check_runnable(spec: SweepSpec) -> None:
    """What can be known before anything starts: that the data is there. The task itself was found with the spec.

    Raises:
        UserError: the data is not there, or trials take too few GPUs or too many, or workers that the task cannot use.
    """
    task = spec.find_task()
    task.check(spec.base)
    for shape in spec.shapes:
        task.check_gpus(spec.base, shape.gpus)
        task.check_workers(shape.workers)


def new_folder(
    home: Path,
    name: str,
    *,
    may_count_up: bool,
    may_be_empty: bool = False,
    stored: Collection[str] = (),
) -> SweepFolder:
    """Creates the folder of a new sweep; `name-2`, `name-3` and so on where the name came from the spec and is taken.

    Args:
        stored: names that are taken in the storage.

    Raises:
        UserError: the user's own name is taken, or the folder cannot be written.
    """
    check_name(name)
    taken = {*existing_sweeps(home), *stored}
    free = name
    if may_count_up:
        count = 1
        while free in taken or (home / free).exists():
            count += 1
            free = f"{name}-{count}"
    elif (home / name).exists() and not (may_be_empty and not has_begun(SweepFolder(home=home, name=name))):
        raise UserError(
            f"--name: there is a sweep `{name}` in {home} already: choose another name, "
            f"or go on with it by `ubn-sweep resume {SweepFolder(home=home, name=name).typed}`"
        )
    elif name in stored:
        raise UserError(
            f"--name: there is a sweep `{name}` in the storage already: choose another name, or bring it here by "
            "`ubn-sweep fetch` and go on with it"
        )
    folder = SweepFolder(home=home, name=free)
    try:
        folder.path.mkdir(parents=True, exist_ok=may_be_empty)
        folder.lock.touch()
    except OSError as error:
        raise UserError(
            f"{folder.path}: cannot be written ({error.strerror}): start from a folder that you may write to"
        ) from error
    return folder


def _go_on(folder: SweepFolder) -> str:
    return f"`ubn-sweep resume {folder.typed}`"
