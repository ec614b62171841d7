"""Which configs of a sweep race for the final training: those that are expected to be best at the full budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ubn_sweep.errors import UserError
from ubn_sweep.export.candidates import candidates_of, config_text
from ubn_sweep.landscape.baselines import BATCH_NORM, is_batch_norm
from ubn_sweep.landscape.needs import PROFILE_TRIALS
from ubn_sweep.landscape.read import SweepView, TrialView, read_sweep
from ubn_sweep.landscape.views.expected import expected_at_the_end
from ubn_sweep.records.events import TrialCreated
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.journal import read_journal
from ubn_sweep.records.observations import observations
from ubn_sweep.records.trials import Trials

LEAST_FINISHED = 3
"""Finished trials that the model takes before it says which configs are best."""


@dataclass(frozen=True, kw_only=True)
class Finalist:
    """A config of the sweep, by its first trial."""

    trial: int
    name: str
    config: dict[str, Any]
    is_batch_norm: bool


@dataclass(frozen=True, kw_only=True)
class Finalists:
    """Who races, the most promising first, and how they were picked."""

    sweep_id: str
    chosen: tuple[Finalist, ...]
    batch_norm: Finalist | None
    """The sweep's own best config of plain BatchNorm; None where it tried none."""
    by_model: bool
    """Whether by what is expected of them at the full budget; else by their scores there."""


def finalists_of(folder: SweepFolder, top: int) -> Finalists:
    """The `top` configs of a sweep, plain BatchNorm aside.

    An observed maximum was lucky; what the model of all trials and epochs expects of a config is less so. Configs that
    were stopped early count as well then. Without enough trials the scores at the full budget decide.

    Raises:
        UserError: top < 1, or no trial has finished.
    """
    if top < 1:
        raise UserError(f"--top: `top >= 1` must hold, but got {top}: say how many configs race")
    events = read_journal(folder.path)
    created = {trial.number: trial.created for trial in Trials(events)}
    sweep = read_sweep(observations(events))
    if not sweep.candidates:
        raise UserError(
            f"{folder.name}: no trial has finished at the full budget of {sweep.max_epochs} epochs, so there is "
            f"nothing to confirm: let it go on with `ubn-sweep resume {folder.typed}`"
        )
    by_score = [candidate.trial for candidate in candidates_of(sweep, created)]
    by_model = _by_model(sweep, created)
    order = by_score if by_model is None else by_model
    plain = [trial for trial in order if is_batch_norm(trial.config)]
    others = [trial for trial in order if not is_batch_norm(trial.config)]
    chosen = others[:top] if others else plain[:top]
    return Finalists(
        sweep_id=sweep.sweep_id,
        chosen=tuple(_finalist(trial, created) for trial in chosen),
        batch_norm=_finalist(plain[0], created) if plain and others else None,
        by_model=by_model is not None,
    )


def _by_model(sweep: SweepView, created: Mapping[int, TrialCreated]) -> list[TrialView] | None:
    """Every config that was tried, by what the model of the last epoch expects; None where it has too few trials."""
    scored = [trial for trial in sweep.trials if trial.curve]
    if len(scored) < PROFILE_TRIALS or len(sweep.finished) < LEAST_FINISHED:
        return None
    first: dict[str, TrialView] = {}
    for trial in scored:
        if trial.feasible and trial.status in ("completed", "stopped"):
            first.setdefault(config_text(created[trial.number]), trial)
    trials = list(first.values())
    expected = expected_at_the_end(sweep, trials)
    return [trials[place] for place in np.argsort(-expected, kind="stable")]


def _finalist(trial: TrialView, created: Mapping[int, TrialCreated]) -> Finalist:
    plain = is_batch_norm(trial.config)
    return Finalist(
        trial=trial.number,
        name=BATCH_NORM if plain and not trial.start else trial.label,
        config=created[trial.number].config,
        is_batch_norm=plain,
    )
