"""What `run`, `resume`, `export` and `status` do, for the command line and for Python: calls the rooms in turn.

Nothing is printed here but warnings, and the table of a running sweep.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ubn_sweep.commands.common import map_sweep, spec_of
from ubn_sweep.commands.live import warn, watch_sweep
from ubn_sweep.errors import UserError
from ubn_sweep.masking import masked
from ubn_sweep.records.events import TrialEnded
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.journal import stream
from ubn_sweep.records.standing import Standing
from ubn_sweep.records.trials import Trials
from ubn_sweep.sweep.running import launch
from ubn_sweep.sweep.running.changes import changed_spec, check_same
from ubn_sweep.sweep.running.copies import (
    Following,
    check_tracking,
    run_ids,
    stores_on_a_network,
    written_passwords,
    written_uri,
)
from ubn_sweep.sweep.running.in_process import InProcessExecutor
from ubn_sweep.sweep.running.launch import Surroundings, SweepResult
from ubn_sweep.sweep.running.on_end import check_on_end, tell_end
from ubn_sweep.sweep.running.presence import is_alive
from ubn_sweep.sweep.running.ray.executor import RayExecutor
from ubn_sweep.sweep.spec.spec import SweepSpec
from ubn_sweep.tracking.delivery.follower import describe

if TYPE_CHECKING:
    from ubn_sweep.landscape import LandscapeReport


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a sweep's process."""

    result: SweepResult
    report: LandscapeReport | None
    """None where the sweep is not over."""
    failure: str | None
    """Why nothing was found, although the sweep is over: no trial has a result, or most of them failed."""
    first_failure: str | None
    """Of the first failed trial, and where to read on."""


@dataclass(frozen=True, kw_only=True)
class Running:
    """Where trials run, as the options of `run` say it."""

    executor: str = "ray"
    """`ray` or `in-process`."""
    ray_address: str | None = None
    cpus: int | None = None
    gpus: int | None = None
    shown: bool = True
    """Whether the table of the running sweep is."""


def start(
    spec: SweepSpec,
    *,
    home: Path,
    name: str | None = None,
    or_resume: bool = False,
    learn_from: Sequence[str] = (),
    running: Running,
) -> Outcome:
    """Starts a sweep, or with `or_resume` goes on with the one of its name, and maps it.

    Raises:
        UserError: something that the user can mend, before or while it runs.
    """
    if learn_from:
        search = dataclasses.replace(spec.search, learn_from=(*spec.search.learn_from, *learn_from))
        spec = dataclasses.replace(spec, search=search)
    check_tracking(spec)
    for key in written_passwords(spec):
        warn(
            f"{key} has its password written out, which the journal keeps (readable by you alone): "
            "write ${NAME}, and it comes from the environment"
        )
    name = spec.name if name is None and or_resume else name
    folder = SweepFolder(home=home, name=spec.name if name is None else name)
    _check_surroundings(spec, folder)
    if or_resume and launch.has_begun(folder):
        check_same(spec_of(folder), spec)
        return _seen_through(lambda around: launch.resume_sweep(folder, surroundings=around), running)
    return _seen_through(
        lambda around: launch.start_sweep(
            spec, home=home, name=name, may_be_empty=or_resume, surroundings=around
        ),
        running,
    )


def go_on(
    folder: SweepFolder, *, retry_failed: bool = False, assignments: Sequence[str] = (), running: Running
) -> Outcome:
    """Goes on with a sweep, and maps it. Raises UserError as `start` does."""
    _check_surroundings(changed_spec(spec_of(folder), assignments)[0], folder)
    return _seen_through(
        lambda around: launch.resume_sweep(
            folder, retry_failed=retry_failed, assignments=assignments, surroundings=around
        ),
        running,
    )


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
        "ended_by": standing.rule,
        "epochs": standing.epochs,
        "attempts": standing.attempts,
        "left_s": standing.left_s if state == "running" else None,
        "last_s": standing.last_s,
    }


def best_of(folder: SweepFolder) -> dict[str, Any] | None:
    """The best trial so far: its number, objective, varied values and whole config; None where none has a result."""
    best = Standing.of(stream(folder.path))
    if best.progress.best is None:
        return None
    number = best.progress.best.trial
    created = Trials(stream(folder.path))[number].created
    return {
        "trial": number,
        "score": best.best_value,
        "params": created.params,
        "config": created.config,
    }


def export(folder: SweepFolder, *, top: int, out: Path) -> list[Path]:
    """Writes the best configs, best first. Raises UserError where there are none, or they cannot be written."""
    from ubn_sweep.export import export_configs

    spec = spec_of(folder)
    return export_configs(
        folder,
        top=top,
        out=out,
        tracking_uri=masked(written_uri(spec, folder)),
        run_ids=run_ids(folder, spec),
    )


# -------------------------------------------------------------------- inside


def _check_surroundings(spec: SweepSpec, folder: SweepFolder) -> None:
    check_on_end(spec.on_end)
    line = stores_on_a_network(spec, folder)
    if line is not None:
        warn(line)


def _seen_through(run: Callable[[Surroundings], SweepResult], running: Running) -> Outcome:
    """Runs a sweep, maps it where it is over, and tells whom the spec names, whatever came of it."""
    following = Following()
    try:
        result = run(_surroundings(following, running))
        folder = SweepFolder(home=result.folder.parent, name=result.sweep)
        for store, why in following.undelivered.items():
            warn(
                f"not all records arrived at {store} ({why}); none is lost: "
                f"`ubn-sweep sync {folder.typed}` delivers them"
            )
        first_failure = _first_failure(folder) if result.finished and result.counts["failed"] else None
        outcome = Outcome(
            result=result,
            report=map_sweep(folder, result.spec) if result.finished else None,
            failure=_failure(result, first_failure) if result.finished else None,
            first_failure=first_failure,
        )
    except BaseException as error:
        if following.of is not None:  # else none had begun
            _tell_end(*following.of, state="failed", reason=str(error) or type(error).__name__, hurry=True)
        raise
    if following.of is not None:
        state, reason = _end_of(outcome)
        _tell_end(result.spec, folder, state=state, reason=reason, hurry=result.signal is not None)
    return outcome


def _surroundings(following: Following, running: Running) -> Surroundings:
    on_ray = RayExecutor(address=running.ray_address, cpus=running.cpus, gpus=running.gpus)
    return Surroundings(
        executor=on_ray if running.executor == "ray" else InProcessExecutor(),
        watch=functools.partial(watch_sweep, notice=following.notice) if running.shown else None,
        follow=following.follow,
        tell=warn,
    )


def _first_failure(folder: SweepFolder) -> str | None:
    """The first line of the first failed trial's reason, and where to read on."""
    ends = (event for event in stream(folder.path, kinds=(TrialEnded,)) if isinstance(event, TrialEnded))
    first = min((end for end in ends if end.status == "failed"), key=lambda end: end.trial, default=None)
    if first is None:
        return None
    reason = first.reason.splitlines()[0] if first.reason else "no reason is known"
    return f"trial {first.trial} failed: {reason} (the whole of it is in {folder.journal})"


def _failure(result: SweepResult, first_failure: str | None) -> str | None:
    if result.best is None:
        why = first_failure or result.ending or _why_none(result)
        return f"no trial of {result.sweep} has a result; {why}"
    failed, all_of_them = result.counts["failed"], sum(result.counts.values())
    if 2 * failed > all_of_them:
        return (
            f"{failed} of {all_of_them} trials of {result.sweep} failed; {first_failure}: mend that, then "
            f"`ubn-sweep resume {result.typed} --retry-failed`"
        )
    return None


def _end_of(outcome: Outcome) -> tuple[str, str]:
    """How an end is called, and why."""
    result = outcome.result
    if result.finished:
        why = outcome.failure or result.ended_by or result.ending or ""
        return ("finished" if outcome.failure is None else "failed"), why
    if result.signal is None and result.stopped is not None:
        return "failed", result.stopped
    return result.word, ""


def _tell_end(spec: SweepSpec, folder: SweepFolder, *, state: str, reason: str, hurry: bool) -> None:
    if spec.on_end.command is None and spec.on_end.webhook is None:
        return
    try:
        content = {
            **facts_of(folder),
            "state": state,
            "reason": masked(reason),
            "folder": str(folder.path),
            "report": str(folder.report) if folder.report.exists() else None,
        }
        for line in tell_end(spec.on_end, content, hurry=hurry):
            warn(line)
    except Exception as error:  # the sweep has ended as it has, whatever is wrong with telling it
        warn(f"on_end: {describe(error)}")


def _why_none(result: SweepResult) -> str:
    constraints = result.spec.objective.constraints
    if result.counts["completed"] + result.counts["stopped"] > 0 and constraints:
        return f"none keeps {' and '.join(item.text(name) for name, item in constraints.items())}"
    return "all of them diverged"
