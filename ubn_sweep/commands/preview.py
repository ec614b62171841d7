"""`preview`: what a sweep will cost, and whether its trials will suffice, before anything starts."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Sequence
from pathlib import Path

from ubn_sweep.commands.bars import working
from ubn_sweep.commands.common import home_folder
from ubn_sweep.commands.live import print_json, say, warn
from ubn_sweep.errors import UserError
from ubn_sweep.landscape.needs import CURVE_TRIALS, IMPORTANCE_TRIALS, THRESHOLD
from ubn_sweep.records.events import SweepStarted
from ubn_sweep.records.folder import SweepFolder, find_sweep
from ubn_sweep.records.journal import read_journal, stream
from ubn_sweep.records.trials import Trials
from ubn_sweep.sweep.deciding.slots import slots_of
from ubn_sweep.sweep.explaining import preview
from ubn_sweep.sweep.running import launch
from ubn_sweep.sweep.spec.loading import load_spec
from ubn_sweep.sweep.spec.shares import share_active
from ubn_sweep.sweep.spec.space import Space
from ubn_sweep.sweep.spec.spec import SweepSpec


def preview_sweep(
    spec_path: Path,
    assignments: Sequence[str],
    *,
    curves_of: tuple[str, ...],
    workers: int | None,
    epoch_s: float | None,
    measure: bool,
    home: Path | None,
    as_json: bool,
) -> None:
    """Says what a sweep will cost, and whether its trials will suffice for what people want to know of it."""
    spec = load_spec(spec_path, assignments)
    launch.check_runnable(spec)
    earlier = [find_sweep(name, home_folder(home)) for name in curves_of]
    curves = [
        curve for folder in earlier for curve in preview.curves_of(read_journal(folder.path), spec.objective)
    ]
    if measure:
        epoch_s = _measured(spec)
    at_once = workers if workers is not None else trials_at_once(spec)
    if at_once < 1:
        raise UserError(
            "this machine holds none of these trials at once: say by --workers how many the cluster will hold"
        )
    cost = preview.expected_cost(spec, workers=at_once, curves=curves, epoch_s=epoch_s)
    cautions = [line for folder in earlier if (line := _other_subject(spec, folder)) is not None]
    cautions += too_few(spec, finished=cost.completed.mean)
    if as_json:
        print_json({**dataclasses.asdict(cost), "epoch_s": epoch_s, "cautions": cautions})
        return
    _tell_cost(spec, cost)
    for line in cautions:
        warn(line)


def _measured(spec: SweepSpec) -> float:
    from ubn_sweep.sweep.explaining.measure import measured_epoch_s

    with working("training the first trial for two epochs"):
        epoch_s = measured_epoch_s(spec)
    say(f"an epoch takes {epoch_s:.3g} s here, one trial running alone")
    return epoch_s


def trials_at_once(spec: SweepSpec) -> int:
    """What this machine holds of the largest trials, and `max_concurrent` allows."""
    node = {"CPU": float(len(os.sched_getaffinity(0)))}
    if any(shape.gpus > 0 for shape in spec.shapes):
        from ubn_sweep.training.device import gpu_count

        node["GPU"] = float(gpu_count())
    held, most = min(slots_of([node], shape) for shape in spec.shapes), spec.resources.max_concurrent
    return held if most is None else min(held, most)


def too_few(spec: SweepSpec, *, finished: float) -> list[str]:
    """What so many trials that train to their end will not tell, with what would mend it."""
    found = []
    share = share_active(Space(spec), THRESHOLD)
    expected = finished * share
    if share > 0 and expected < CURVE_TRIALS:
        enough = math.ceil(spec.search.trials * CURVE_TRIALS / max(expected, 1e-9))
        found.append(
            f"too few for the threshold's curve: about {expected:.0f} trials with a threshold will train to their end, "
            f"and a curve takes {CURVE_TRIALS}: some {enough} trials would do, or a kinder early stopping"
        )
    if spec.search.trials < IMPORTANCE_TRIALS:
        found.append(
            f"too few to say what mattered: {spec.search.trials} trials, and it takes {IMPORTANCE_TRIALS}: "
            f"set search.trials={IMPORTANCE_TRIALS}, or more"
        )
    return found


def _other_subject(spec: SweepSpec, folder: SweepFolder) -> str | None:
    """Curves of another model or of other data say little of this one's."""
    started = Trials(stream(folder.path, kinds=(SweepStarted,))).started
    theirs, mine = started.task.get("subject"), spec.find_task().subject(spec.base)
    if theirs is None or theirs == mine:  # a journal of 0.1 does not tell
        return None
    return f"the curves of {folder.name} are of {theirs}, this sweep's will be of {mine}: the hours may be far off"


def _tell_cost(spec: SweepSpec, cost: preview.Preview) -> None:
    say(
        (spec.name, "bold"),
        f": {cost.trials} trials, {cost.workers} at once (90% of the replays in brackets)",
    )
    basis = (
        f"{cost.curves} curves of earlier sweeps"
        if cost.basis == "curves"
        else "the model in docs/spec.md: no curves given"
    )
    say(
        f"epochs      {_spread(cost.epochs, '.0f')}, {cost.epochs.mean / cost.epochs_without_stopping:.0%} "
        f"of the {cost.epochs_without_stopping} without early stopping"
    )
    say(f"completed   {_spread(cost.completed, '.0f')} of the trials")
    if cost.audits:
        say(
            f"audits      {cost.audits} of the trials, never stopped: {_spread(cost.audit_epochs, '.0f')} of the epochs"
        )
    for name, hours in (
        ("trial hours", cost.trial_hours),
        ("GPU hours", cost.gpu_hours),
        ("wall hours", cost.wall_hours),
    ):
        if hours is not None:
            say(f"{name:<11} {_spread(hours, '.2f')}")
    say(f"rests on {basis}")
    if cost.trial_hours is None:
        say(
            "hours are not known: let `--measure` time an epoch, else --epoch-seconds, or --curves-of an earlier sweep"
        )


def _spread(spread: preview.Spread, form: str) -> str:
    return f"{spread.mean:{form}} ({spread.low:{form}} to {spread.high:{form}})"
