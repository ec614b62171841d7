"""A sweep in an Optuna storage, so that optuna-dashboard and Optuna's own plots open it while it runs."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ubn_sweep.records.events import EpochReported, Event, SweepStarted, TrialCreated, TrialEnded
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.tracking.delivery.cursor import cursor_file
from ubn_sweep.tracking.uri import with_driver

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

Distributions = Callable[[dict[str, Any]], tuple[dict[str, Any], dict[str, "BaseDistribution"]]]
"""A trial's params -> its params and distributions as Optuna shall show them."""

STATES = {"completed": "COMPLETE", "stopped": "PRUNED", "failed": "FAIL", "diverged": "FAIL"}
ATTR_SWEEP_ID = "sweep_id"
ATTR_TRIAL = "trial"


@dataclass(kw_only=True)
class _News:
    """What one delivery has for one trial."""

    created: TrialCreated | None = None
    values: dict[int, float] = field(default_factory=dict)
    ended: TrialEnded | None = None


@dataclass(kw_only=True)
class _Mirrored:
    """A trial as the storage holds it."""

    trial_id: int
    finished: bool
    last: float | None
    """The objective's last value."""


class StudyMirror:
    """Writes events to an Optuna storage; use it through a Follower.

    Trials have their number in the sweep. They are RUNNING from the start, with an intermediate value each epoch,
    and end COMPLETE, PRUNED (stopped early, the stopping epoch's value included) or FAIL (failed and diverged).
    """

    def __init__(self, folder: SweepFolder, storage: str, distributions: Distributions) -> None:
        self._folder = folder
        self._url = storage
        self._distributions = distributions
        self._storage: BaseStorage | None = None
        self._started: SweepStarted | None = None
        self._study_id: int | None = None
        self._trials: dict[int, _Mirrored] = {}

    @property
    def cursor(self) -> Path:
        """Where the follower keeps how far it is."""
        return cursor_file(self._folder, "study", self._url)

    def resume(self, events: Sequence[Event]) -> bool:
        started = next((event for event in events if isinstance(event, SweepStarted)), None)
        if started is None:
            return False
        self._open(started)
        created = sum(isinstance(event, TrialCreated) for event in events)
        return len(self._trials) >= created

    def deliver(self, events: Sequence[Event]) -> None:
        news: dict[int, _News] = {}
        started = self._started
        for event in events:
            if isinstance(event, SweepStarted):
                started = event
            elif isinstance(event, TrialCreated):
                news.setdefault(event.trial, _News()).created = event
            elif isinstance(event, EpochReported):
                assert started is not None
                value = event.metrics.get(started.spec["objective"]["metric"])
                if value is not None:
                    news.setdefault(event.trial, _News()).values[event.epoch] = value
            elif isinstance(event, TrialEnded):
                news.setdefault(event.trial, _News()).ended = event
        assert started is not None, "a journal begins with the sweep's record"
        try:
            self._open(started)
            for trial, new in sorted(news.items()):
                self._write(trial, new)
        except Exception:
            self._study_id = None  # what was written before the error is read again
            raise

    # ---------------------------------------------------------------- inside

    def _open(self, started: SweepStarted) -> None:
        """Opens the sweep's study, which is made where there is none, and reads what it holds."""
        self._started = started
        if self._study_id is not None:
            return
        if self._storage is None:
            self._storage = open_storage(self._url)
        study_id = _find_study(self._storage, started)
        self._trials = {
            trial.user_attrs[ATTR_TRIAL]: _Mirrored(
                trial_id=trial._trial_id,
                finished=trial.state.is_finished(),
                last=_last(trial.intermediate_values),
            )
            for trial in self._storage.get_all_trials(study_id)
            if ATTR_TRIAL in trial.user_attrs
        }
        self._study_id = study_id

    def _write(self, trial: int, new: _News) -> None:
        known = self._trials.get(trial)
        if known is None:
            if new.created is not None:
                self._create(new.created, new)
        elif not known.finished:
            self._update(known, new)

    def _create(self, created: TrialCreated, new: _News) -> None:
        """One write for all that is known by now, its end too."""
        assert self._storage is not None
        assert self._study_id is not None
        template = self._frozen(created, new)
        trial_id = self._storage.create_new_trial(self._study_id, template)
        self._trials[created.trial] = _Mirrored(
            trial_id=trial_id, finished=template.state.is_finished(), last=_last(new.values)
        )

    def _update(self, known: _Mirrored, new: _News) -> None:
        from optuna.trial import TrialState

        storage = self._storage
        assert storage is not None
        for epoch, value in sorted(new.values.items()):
            storage.set_trial_intermediate_value(known.trial_id, epoch, value)
            known.last = value
        if new.ended is not None:
            for name, attr in _end_attrs(new.ended).items():
                storage.set_trial_user_attr(known.trial_id, name, attr)
            state = _state(new.ended, known.last)
            values = [known.last] if state != TrialState.FAIL and _is_value(known.last) else None
            storage.set_trial_state_values(known.trial_id, state, values)
            known.finished = True

    def _frozen(self, created: TrialCreated, new: _News) -> FrozenTrial:
        from optuna.trial import TrialState, create_trial

        assert self._started is not None
        params, distributions = self._distributions(created.params)
        last = _last(new.values)
        state = TrialState.RUNNING if new.ended is None else _state(new.ended, last)
        attrs = {ATTR_TRIAL: created.trial, "origin": created.origin, ATTR_SWEEP_ID: self._started.sweep_id}
        trial = create_trial(
            state=state,
            value=last if state in (TrialState.COMPLETE, TrialState.PRUNED) and _is_value(last) else None,
            params=params,
            distributions=distributions,
            user_attrs=attrs | (_end_attrs(new.ended) if new.ended is not None else {}),
            intermediate_values=dict(sorted(new.values.items())),
        )
        trial.datetime_start = datetime.fromtimestamp(created.time_s)
        trial.datetime_complete = datetime.fromtimestamp(new.ended.time_s) if new.ended is not None else None
        return trial


def study_name(started: SweepStarted) -> str:
    """The sweep's name and the start of its id: storages are shared, and names come again in other folders."""
    return f"{started.name}-{started.sweep_id[:8]}"


def open_storage(url: str) -> BaseStorage:
    """An Optuna storage, which is created where it is missing. Raises when it is out of reach."""
    from optuna.storages import RDBStorage

    logging.getLogger("optuna.storages").setLevel(logging.WARNING)
    kwargs: dict[str, Any] = {"pool_pre_ping": True}
    if url.startswith("sqlite"):
        kwargs["connect_args"] = {"timeout": 20}
        path = url.removeprefix("sqlite:///").split("?", 1)[0]
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    return RDBStorage(with_driver(url), engine_kwargs=kwargs)


def _find_study(storage: BaseStorage, started: SweepStarted) -> int:
    """The study of this very sweep; a study of the same name that is another's is left alone."""
    from optuna.exceptions import DuplicatedStudyError
    from optuna.study import StudyDirection

    minimize = started.spec["objective"].get("mode") == "min"
    direction = StudyDirection.MINIMIZE if minimize else StudyDirection.MAXIMIZE
    for name in (study_name(started), f"{started.name}-{started.sweep_id}"):
        try:
            study_id = storage.create_new_study([direction], name)
        except DuplicatedStudyError:
            study_id = storage.get_study_id_from_name(name)
        owner = storage.get_study_user_attrs(study_id).get(ATTR_SWEEP_ID)
        if owner is None and not storage.get_all_trials(study_id):
            storage.set_study_user_attr(study_id, ATTR_SWEEP_ID, started.sweep_id)
            storage.set_study_user_attr(study_id, "sweep", started.name)
            storage.set_study_user_attr(study_id, "objective", started.spec["objective"]["metric"])
            owner = started.sweep_id
        if owner == started.sweep_id:
            return study_id
    raise RuntimeError(f"the Optuna storage has a study `{study_name(started)}` that is not this sweep's")


def _state(ended: TrialEnded, last: float | None) -> Any:
    """COMPLETE needs a value."""
    from optuna.trial import TrialState

    state = TrialState[STATES[ended.status]]
    return TrialState.FAIL if state == TrialState.COMPLETE and not _is_value(last) else state


def _end_attrs(ended: TrialEnded) -> dict[str, Any]:
    attrs = {"status": ended.status, "last_epoch": ended.epoch}
    return attrs | ({"reason": ended.reason} if ended.reason else {})


def _last(values: dict[int, float]) -> float | None:
    return values[max(values)] if values else None


def _is_value(value: float | None) -> bool:
    return value is not None and not math.isnan(value)
