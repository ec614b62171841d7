"""What came of a sweep's process, and who is told of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ubn_sweep.commands.common import map_sweep
from ubn_sweep.commands.live import warn
from ubn_sweep.commands.looking import facts_of
from ubn_sweep.commands.racing import map_race
from ubn_sweep.masking import masked
from ubn_sweep.records.events import TrialEnded
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.journal import stream
from ubn_sweep.sweep.running.launch import SweepResult
from ubn_sweep.sweep.running.on_end import tell_end
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


def outcome_of(result: SweepResult, folder: SweepFolder) -> Outcome:
    """Maps a sweep that is over, and looks whether it found anything. Raises UserError where it cannot be mapped."""
    first_failure = _first_failure(folder) if result.finished and result.counts["failed"] else None
    return Outcome(
        result=result,
        report=_mapped(folder, result.spec) if result.finished else None,
        failure=_failure(result, first_failure) if result.finished else None,
        first_failure=first_failure,
    )


def _mapped(folder: SweepFolder, spec: SweepSpec) -> LandscapeReport:
    """A race has no landscape of its own: that of the sweep which it confirms tells of it."""
    return map_sweep(folder, spec) if spec.race is None else map_race(folder, spec)


def end_of(outcome: Outcome) -> tuple[str, str]:
    """How an end is called, and why."""
    result = outcome.result
    if result.finished:
        why = outcome.failure or result.ended_by or result.ending or ""
        return ("finished" if outcome.failure is None else "failed"), why
    if result.signal is None and result.stopped is not None:
        return "failed", result.stopped
    return result.word, ""


def tell_sweeps_end(spec: SweepSpec, folder: SweepFolder, *, state: str, reason: str, hurry: bool) -> None:
    """Tells the command and the webhook of the spec. Nothing is raised: the sweep has ended as it has."""
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
