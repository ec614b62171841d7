"""`run` and `resume`."""

from __future__ import annotations

import dataclasses
import functools
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ubn_sweep.commands.common import home_folder, map_sweep, spec_of, tell_landscape
from ubn_sweep.commands.live import print_json, say, score, warn, watch_sweep
from ubn_sweep.errors import InterruptedSweepError, NothingFoundError
from ubn_sweep.masking import masked
from ubn_sweep.records.events import TrialEnded
from ubn_sweep.records.folder import SweepFolder, find_sweep
from ubn_sweep.records.journal import stream
from ubn_sweep.sweep.explaining.describe import show
from ubn_sweep.sweep.running import launch
from ubn_sweep.sweep.running.changes import check_same
from ubn_sweep.sweep.running.copies import (
    Following,
    check_tracking,
    stores_on_a_network,
    written_passwords,
    written_uri,
)
from ubn_sweep.sweep.running.in_process import InProcessExecutor
from ubn_sweep.sweep.running.launch import Surroundings, SweepResult
from ubn_sweep.sweep.running.ray.executor import RayExecutor
from ubn_sweep.sweep.spec.loading import load_spec
from ubn_sweep.sweep.spec.spec import SweepSpec

if TYPE_CHECKING:
    from ubn_sweep.landscape import LandscapeReport


def run_sweep(
    spec_path: Path,
    *,
    name: str | None,
    or_resume: bool,
    learn_from: tuple[str, ...],
    assignments: Sequence[str],
    home: Path | None,
    as_json: bool,
    **running: Any,
) -> None:
    """Starts a sweep, or with `or_resume` goes on with the one of its name, and maps it."""
    spec = load_spec(spec_path, assignments)
    if learn_from:
        search = dataclasses.replace(spec.search, learn_from=(*spec.search.learn_from, *learn_from))
        spec = dataclasses.replace(spec, search=search)
    check_tracking(spec)
    for key in written_passwords(spec):
        warn(
            f"{key} has its password written out, which the journal keeps (readable by you alone): "
            "write ${NAME}, and it comes from the environment"
        )
    following, place = Following(), home_folder(home)
    _warn_of_network(spec, SweepFolder(home=place, name=spec.name))
    surroundings = _surroundings(following, **running)
    name = spec.name if name is None and or_resume else name
    folder = SweepFolder(home=place, name=name) if or_resume and name is not None else None
    if folder is not None and launch.has_begun(folder):
        check_same(spec_of(folder), spec)
        result = launch.resume_sweep(folder, surroundings=surroundings)
    else:
        result = launch.start_sweep(
            spec, home=place, name=name, may_be_empty=or_resume, surroundings=surroundings
        )
    _finish(result, following, as_json=as_json)


def resume_sweep(
    sweep: str,
    *,
    retry_failed: bool,
    assignments: Sequence[str],
    home: Path | None,
    as_json: bool,
    **running: Any,
) -> None:
    """Goes on with a sweep and maps it."""
    folder = find_sweep(sweep, home_folder(home))
    _warn_of_network(spec_of(folder), folder)
    following = Following()
    result = launch.resume_sweep(
        folder,
        retry_failed=retry_failed,
        assignments=assignments,
        surroundings=_surroundings(following, **running),
    )
    _finish(result, following, as_json=as_json)


def _warn_of_network(spec: SweepSpec, folder: SweepFolder) -> None:
    line = stores_on_a_network(spec, folder)
    if line is not None:
        warn(line)


def _finish(result: SweepResult, following: Following, *, as_json: bool) -> None:
    folder = SweepFolder(home=result.folder.parent, name=result.sweep)
    spec = result.spec
    _tell_undelivered(following, folder)
    if not result.finished:
        raise _ended_early(result)
    report = map_sweep(folder, spec)
    uri = masked(written_uri(spec, folder))
    if as_json:
        print_json(
            {
                "sweep": result.sweep,
                "trials": result.counts,
                "best": _best(result, spec),
                "ended_by": result.ended_by,
                "tracking_uri": uri,
                "report": str(report.html),
                "observations": str(report.observations),
            }
        )
    else:
        _tell(result, spec, report, uri)
    failure = _first_failure(folder) if result.counts["failed"] else None
    if result.best is None:
        why = failure or result.ending or _why_none(result)
        raise NothingFoundError(f"no trial of {result.sweep} has a result; {why}")
    if failure is None:
        return
    failed, all_of_them = result.counts["failed"], sum(result.counts.values())
    if 2 * failed > all_of_them:
        raise NothingFoundError(
            f"{failed} of {all_of_them} trials of {result.sweep} failed; {failure}: mend that, then "
            f"`ubn-sweep resume {result.typed} --retry-failed`"
        )
    warn(failure)


def _why_none(result: SweepResult) -> str:
    constraints = result.spec.objective.constraints
    if result.counts["completed"] + result.counts["stopped"] > 0 and constraints:
        return f"none keeps {' and '.join(item.text(name) for name, item in constraints.items())}"
    return "all of them diverged"


def _ended_early(result: SweepResult) -> InterruptedSweepError:
    if result.signal is None and result.stopped is not None:
        return InterruptedSweepError(
            f"stopped: {result.stopped}: mend that, then go on by `ubn-sweep resume {result.typed} --retry-failed`",
            code=1,
        )
    code = 128 + (result.signal if result.signal is not None else signal.SIGINT)
    return InterruptedSweepError(
        f"{result.word}; go on with it by `ubn-sweep resume {result.typed}`", code=code
    )


def _tell(result: SweepResult, spec: SweepSpec, report: LandscapeReport, uri: str) -> None:
    counts = ", ".join(f"{n} {status}" for status, n in result.counts.items())
    say("\n", (result.sweep, "bold"), f": {counts}")
    if result.ended_by is not None:
        say(
            f"ended by a rule: {result.ended_by}; `ubn-sweep resume {result.typed} --set stop_when...` goes on"
        )
    elif result.ending is not None:
        say(result.ending)
    elif result.refused is not None:
        say(
            f"points that the trial's config refuses were passed over, the last of them because {result.refused}"
        )
    if result.best is not None:
        params = ", ".join(f"{key}={show(value)}" for key, value in result.best.params.items())
        say(f"best: {score(result.best, spec)} in trial {result.best.number} ({params})")
    tell_landscape(report)
    if spec.resources.keep_best > 0:
        say(f"best      {result.folder / 'best'} (final checkpoints)")
    say(f"MLflow    {uri}")
    if result.best is not None:
        say(
            "next: ",
            (f"ubn-sweep export {result.typed} --top 3 --out configs", "bold"),
            ", ",
            (f"ubn-sweep ui {result.typed}", "bold"),
        )


def _first_failure(folder: SweepFolder) -> str | None:
    """The first line of the first failed trial's reason, and where to read on."""
    ends = (event for event in stream(folder.path, kinds=(TrialEnded,)) if isinstance(event, TrialEnded))
    first = min((end for end in ends if end.status == "failed"), key=lambda end: end.trial, default=None)
    if first is None:
        return None
    reason = first.reason.splitlines()[0] if first.reason else "no reason is known"
    return f"trial {first.trial} failed: {reason} (the whole of it is in {folder.journal})"


def _tell_undelivered(following: Following, folder: SweepFolder) -> None:
    for store, why in following.undelivered.items():
        warn(
            f"not all records arrived at {store} ({why}); none is lost: "
            f"`ubn-sweep sync {folder.typed}` delivers them"
        )


def _best(result: SweepResult, spec: SweepSpec) -> dict[str, Any] | None:
    if result.best is None:
        return None
    value = result.best.metrics[spec.objective.metric]
    return {"trial": result.best.number, "score": value, "config": result.best.config}


def _surroundings(
    following: Following, *, executor: str, ray_address: str | None, cpus: int | None, gpus: int | None
) -> Surroundings:
    on_ray = RayExecutor(address=ray_address, cpus=cpus, gpus=gpus)
    return Surroundings(
        executor=on_ray if executor == "ray" else InProcessExecutor(),
        watch=functools.partial(watch_sweep, notice=following.notice),
        follow=following.follow,
        tell=warn,
    )
