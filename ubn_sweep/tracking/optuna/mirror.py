"""A sweep in an Optuna storage, so that optuna-dashboard and Optuna's own plots open it while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ubn_sweep.masking import masked
from ubn_sweep.records.events import Event, SweepStarted, TrialCreated
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.objectives import objectives_of
from ubn_sweep.records.trials import TrialRecord, Trials
from ubn_sweep.tracking.optuna.studies import ATTR_SWEEP_ID, find_study, open_storage, study_name
from ubn_sweep.tracking.optuna.values import (
    ATTR_LAST,
    Values,
    end_attrs,
    is_value,
    last_of,
    recorded,
    state_of,
    values_of,
)

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

Distributions = Callable[[dict[str, Any]], tuple[dict[str, Any], dict[str, "BaseDistribution"]]]
"""A trial's params -> its params and distributions as Optuna shall show them."""

ATTR_TRIAL = "trial"
ATTR_RETRIED = "retried_s"


@dataclass(kw_only=True)
class _Mirrored:
    """A trial as the storage holds it."""

    trial_id: int
    finished: bool
    last: tuple[float, ...] | None
    """The last values of the objectives, one or two."""


class StudyMirror:
    """Writes events to an Optuna storage; use it through a Follower.

    Trials have their number in the sweep. They are RUNNING from the start, with an intermediate value each epoch,
    and end COMPLETE, PRUNED (stopped early, the stopping epoch's value included) or FAIL (failed and diverged). Of two
    objectives Optuna shows the first one's epochs, and both at the end.
    """

    store = "the Optuna storage"
    resumes_from = (SweepStarted, TrialCreated)

    def __init__(self, folder: SweepFolder, storage: str, distributions: Distributions) -> None:
        self.address = masked(storage)
        self.cursor = folder.delivered("study", storage)
        self._url = storage
        self._distributions = distributions
        self._storage: BaseStorage | None = None
        self._started: SweepStarted | None = None
        self._study_id: int | None = None
        self._trials: dict[int, _Mirrored] = {}

    def load(self) -> None:
        from optuna.storages import RDBStorage  # noqa: F401  # it imports SQLAlchemy and Alembic

    def resume(self, events: Iterable[Event]) -> bool:
        before = Trials(events)
        if before.start is None:
            return False
        self._open(before.start)
        return len(self._trials) >= len(before)

    def deliver(self, events: Sequence[Event]) -> None:
        new = Trials(events)
        started = new.start if new.start is not None else self._started
        assert started is not None, "a journal begins with the sweep's record"
        try:
            self._open(started)
            for trial in new:
                self._write(trial, values_of(trial, objectives_of(started.spec)))
        except Exception:
            self._study_id = None  # what was written before the error is read again
            raise

    def attach(self, paths: Iterable[Path]) -> int:
        """The storage keeps no files."""
        return 0

    # ---------------------------------------------------------------- inside

    def _open(self, started: SweepStarted) -> None:
        """Opens the sweep's study, which is made where there is none, and reads what it holds."""
        self._started = started
        if self._study_id is not None:
            return
        if self._storage is None:
            self._storage = open_storage(self._url)
        study_id = find_study(self._storage, started)
        self._trials = {
            trial.user_attrs[ATTR_TRIAL]: _Mirrored(
                trial_id=trial._trial_id,
                finished=trial.state.is_finished(),
                last=recorded(trial),
            )
            for trial in self._storage.get_all_trials(study_id)
            if ATTR_TRIAL in trial.user_attrs
        }
        self._study_id = study_id

    def _write(self, new: TrialRecord, values: Values) -> None:
        known = self._trials.get(new.number)
        if known is None:
            if new.creation is not None:
                self._create(new, values)
        else:
            if new.retried_s is not None:
                known = self._again(known, new.number, new.retried_s)
            if not known.finished:
                self._update(known, new, values)

    def _create(self, new: TrialRecord, values: Values) -> None:
        """One write for all that is known by now, its end too."""
        assert self._storage is not None
        assert self._study_id is not None
        template = self._frozen(new, values)
        trial_id = self._storage.create_new_trial(self._study_id, template)
        self._trials[new.number] = _Mirrored(
            trial_id=trial_id, finished=template.state.is_finished(), last=last_of(values)
        )

    def _again(self, known: _Mirrored, number: int, retried_s: float) -> _Mirrored:
        """Another trial of the study for one that is tried again: Optuna lets none of its own go on once it ended."""
        from optuna.trial import TrialState, create_trial

        assert self._storage is not None
        assert self._study_id is not None
        before = self._storage.get_trial(known.trial_id)
        if before.user_attrs.get(ATTR_RETRIED, 0.0) >= retried_s:
            return known  # delivered before
        if not known.finished:
            self._storage.set_trial_user_attr(known.trial_id, ATTR_RETRIED, retried_s)
            return known
        template = create_trial(
            state=TrialState.RUNNING,
            params=before.params,
            distributions=before.distributions,
            user_attrs={**before.user_attrs, ATTR_RETRIED: retried_s},
            intermediate_values=before.intermediate_values,
        )
        trial_id = self._storage.create_new_trial(self._study_id, template)
        self._trials[number] = _Mirrored(trial_id=trial_id, finished=False, last=known.last)
        return self._trials[number]

    def _update(self, known: _Mirrored, new: TrialRecord, values: Values) -> None:
        from optuna.trial import TrialState

        storage = self._storage
        assert storage is not None
        for epoch, of_epoch in values.items():
            storage.set_trial_intermediate_value(known.trial_id, epoch, of_epoch[0])
            known.last = of_epoch
        if values and len(known.last or ()) > 1:
            storage.set_trial_user_attr(known.trial_id, ATTR_LAST, list(known.last or ()))
        if new.ended is not None:
            for name, attr in end_attrs(new.ended).items():
                storage.set_trial_user_attr(known.trial_id, name, attr)
            state = state_of(new.ended, known.last)
            score = list(known.last or ()) if state != TrialState.FAIL and is_value(known.last) else None
            storage.set_trial_state_values(known.trial_id, state, score)
            known.finished = True

    def _frozen(self, new: TrialRecord, values: Values) -> FrozenTrial:
        from optuna.trial import TrialState, create_trial

        assert self._started is not None
        created, ended = new.created, new.ended
        params, distributions = self._distributions(created.params)
        last = last_of(values)
        state = TrialState.RUNNING if ended is None else state_of(ended, last)
        attrs: dict[str, Any] = {
            ATTR_TRIAL: new.number,
            "origin": created.origin,
            ATTR_SWEEP_ID: self._started.sweep_id,
        }
        if new.retried_s is not None:
            attrs[ATTR_RETRIED] = new.retried_s
        if last is not None and len(last) > 1:
            attrs[ATTR_LAST] = list(last)
        has_values = state in (TrialState.COMPLETE, TrialState.PRUNED) and is_value(last)
        trial = create_trial(
            state=state,
            values=list(last or ()) if has_values else None,
            params=params,
            distributions=distributions,
            user_attrs=attrs | (end_attrs(ended) if ended is not None else {}),
            intermediate_values={epoch: of_epoch[0] for epoch, of_epoch in values.items()},
        )
        trial.datetime_start = datetime.fromtimestamp(created.time_s)
        trial.datetime_complete = datetime.fromtimestamp(ended.time_s) if ended is not None else None
        return trial


__all__ = ["StudyMirror", "study_name"]
