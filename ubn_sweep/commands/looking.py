"""How a sweep stands and what its best trial is, from its journal: for `status`, and for Python."""

from __future__ import annotations

from typing import Any

from ubn_sweep.errors import UserError
from ubn_sweep.records.events import TrialCreated
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.journal import stream
from ubn_sweep.records.standing import Standing
from ubn_sweep.sweep.running.presence import is_alive


def facts_of(folder: SweepFolder) -> dict[str, Any]:
    """How a sweep stands, whoever runs it and wherever.

    Raises:
        UserError: the folder holds no sweep.
    """
    standing = Standing.of(stream(folder.path))
    progress = standing.progress
    if progress.started is None:
        raise UserError(f"{folder.path}: holds no sweep: name one of `ubn-sweep list`")
    state = standing.state(alive=is_alive(folder.driver))
    best = progress.best
    return {
        "sweep": folder.name,
        "state": state,
        "ended": progress.ended,
        "total": standing.total,
        "created": standing.created,
        "trials": {**progress.counts, "open": standing.created - progress.ended},
        "best": None
        if best is None
        else {"trial": best.trial, "metric": progress.objective, "score": standing.best_value},
        "best_text": standing.best_text,
        **_front(standing),
        "ended_by": standing.rule,
        "epochs": standing.epochs,
        "attempts": standing.attempts,
        "left_s": standing.left_s if state == "running" else None,
        "last_s": standing.last_s,
    }


def _front(standing: Standing) -> dict[str, Any]:
    """Of a sweep with two objectives the trials on its front; nothing of others."""
    if len(standing.progress.objectives) < 2:
        return {}
    return {
        "front": [
            {"trial": one.trial, "scores": standing.values(one), "text": standing.text(one)}
            for one in standing.progress.front
        ]
    }


def front_of(folder: SweepFolder) -> list[dict[str, Any]]:
    """The completed trials that none beats in both objectives: number, scores, varied values and whole config.

    The best in the first objective comes first. With one objective it is the best completed one alone.
    """
    standing = Standing.of(stream(folder.path))
    if standing.progress.started is None:
        return []
    on_it = {one.trial: one for one in standing.progress.front}
    created = {
        event.trial: event
        for event in stream(folder.path, kinds=(TrialCreated,))
        if isinstance(event, TrialCreated) and event.trial in on_it
    }
    return [
        {
            "trial": trial,
            "scores": standing.values(one),
            "params": created[trial].params,
            "config": created[trial].config,
        }
        for trial, one in on_it.items()
    ]


def best_of(folder: SweepFolder) -> dict[str, Any] | None:
    """The best trial so far: its number, objective, varied values and whole config; None where none has a result.

    Of two objectives the first decides.
    """
    best = Standing.of(stream(folder.path))
    if best.progress.best is None:
        return None
    number = best.progress.best.trial
    begun = (event for event in stream(folder.path, kinds=(TrialCreated,)) if isinstance(event, TrialCreated))
    created = next(event for event in begun if event.trial == number)
    return {
        "trial": number,
        "score": best.best_value,
        "params": created.params,
        "config": created.config,
    }
