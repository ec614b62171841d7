"""A sweep's study in an Optuna storage: opened, found, or made."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ubn_sweep.records.events import SweepStarted
from ubn_sweep.records.objectives import objectives_of
from ubn_sweep.tracking.uri import with_driver

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

ATTR_SWEEP_ID = "sweep_id"


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


def find_study(storage: BaseStorage, started: SweepStarted) -> int:
    """The study of this very sweep; a study of the same name that is another's is left alone."""
    from optuna.exceptions import DuplicatedStudyError
    from optuna.study import StudyDirection, load_study

    objectives = objectives_of(started.spec)
    directions = [
        StudyDirection.MAXIMIZE if objective.maximized else StudyDirection.MINIMIZE
        for objective in objectives
    ]
    metrics = [objective.metric for objective in objectives]
    for name in (study_name(started), f"{started.name}-{started.sweep_id}"):
        try:
            study_id = storage.create_new_study(directions, name)
        except DuplicatedStudyError:
            study_id = storage.get_study_id_from_name(name)
        owner = storage.get_study_user_attrs(study_id).get(ATTR_SWEEP_ID)
        if owner is None and not storage.get_all_trials(study_id):
            storage.set_study_user_attr(study_id, ATTR_SWEEP_ID, started.sweep_id)
            storage.set_study_user_attr(study_id, "sweep", started.name)
            storage.set_study_user_attr(study_id, "objective", ", ".join(metrics))
            if len(metrics) > 1:
                with warnings.catch_warnings():  # Optuna calls it experimental, since its version 3.2
                    warnings.simplefilter("ignore")
                    load_study(study_name=name, storage=storage).set_metric_names(metrics)
            owner = started.sweep_id
        if owner == started.sweep_id:
            return study_id
    raise RuntimeError(f"the Optuna storage has a study `{study_name(started)}` that is not this sweep's")
