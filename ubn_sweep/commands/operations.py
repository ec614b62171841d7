"""What `run`, `resume`, `export` and `status` do, for the command line and for Python: calls the rooms in turn.

Nothing is printed here but warnings, and the table of a running sweep.
"""

from __future__ import annotations

import dataclasses
import functools
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ubn_sweep.commands.bars import counted
from ubn_sweep.commands.common import spec_of
from ubn_sweep.commands.live import warn, watch_sweep
from ubn_sweep.commands.outcome import Outcome, end_of, outcome_of, tell_sweeps_end
from ubn_sweep.errors import InterruptedSweepError
from ubn_sweep.masking import masked
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.sweep.running import launch
from ubn_sweep.sweep.running.changes import changed_spec, check_same
from ubn_sweep.sweep.running.copies import (
    Following,
    bring_from_storage,
    check_tracking,
    put_onto_parent_run,
    run_ids,
    stores_on_a_network,
    written_passwords,
    written_uri,
)
from ubn_sweep.sweep.running.in_process import InProcessExecutor
from ubn_sweep.sweep.running.launch import Surroundings, SweepResult
from ubn_sweep.sweep.running.on_end import check_on_end
from ubn_sweep.sweep.running.ray.executor import RayExecutor
from ubn_sweep.sweep.spec.spec import SweepSpec

if TYPE_CHECKING:
    pass


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
    _prepare(spec, running)
    if or_resume:
        bring_from_storage(folder, spec)
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
    spec = changed_spec(spec_of(folder), assignments)[0]
    _check_surroundings(spec, folder)
    _prepare(spec, running)
    return _seen_through(
        lambda around: launch.resume_sweep(
            folder, retry_failed=retry_failed, assignments=assignments, surroundings=around
        ),
        running,
    )


def export(folder: SweepFolder, *, top: int | None, out: Path) -> list[Path]:
    """Writes the best configs, best first, and puts their bundles onto the sweep's run.

    Raises UserError where there are none, or they cannot be written.
    """
    from ubn_sweep.export import export_configs
    from ubn_sweep.export.keeping import keep_bundles

    spec = spec_of(folder)
    paths = export_configs(
        folder,
        top=top,
        out=out,
        tracking_uri=masked(written_uri(spec, folder)),
        run_ids=run_ids(folder, spec),
        threads=lambda config: spec.resources.shape(config).cpus,
    )
    why_not = keep_bundles(folder, [path.with_suffix("") for path in paths])
    if why_not is None:
        why_not = put_onto_parent_run(folder, spec, [folder.bundles])
    if why_not is not None:
        warn(
            f"the bundles are not on the sweep's MLflow run ({why_not}): `ubn-sweep sync {folder.typed}` delivers "
            f"what lies in {folder.bundles}"
        )
    return paths


# -------------------------------------------------------------------- inside


def _check_surroundings(spec: SweepSpec, folder: SweepFolder) -> None:
    check_on_end(spec.on_end)
    line = stores_on_a_network(spec, folder)
    if line is not None:
        warn(line)


def _prepare(spec: SweepSpec, running: Running) -> None:
    """On a cluster the trials fetch their data themselves: it need not lie where this process does."""
    if running.ray_address is None:
        with counted():
            spec.find_task().prepare(spec.base)


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
        outcome = _mapped(result, folder)
    except BaseException as error:
        if following.of is not None:  # else none had begun
            tell_sweeps_end(
                *following.of, state="failed", reason=str(error) or type(error).__name__, hurry=True
            )
        raise
    if following.of is not None:
        state, reason = end_of(outcome)
        tell_sweeps_end(result.spec, folder, state=state, reason=reason, hurry=result.signal is not None)
    return outcome


def _mapped(result: SweepResult, folder: SweepFolder) -> Outcome:
    """What came of it, with the report. Raises InterruptedSweepError where that was interrupted."""
    try:
        return outcome_of(result, folder)
    except KeyboardInterrupt as error:
        raise InterruptedSweepError(
            f"interrupted while it was mapped; the sweep itself is over: `ubn-sweep landscape {folder.typed}` maps it",
            code=128 + signal.SIGINT,
        ) from error


def _surroundings(following: Following, running: Running) -> Surroundings:
    on_ray = RayExecutor(
        address=running.ray_address, cpus=running.cpus, gpus=running.gpus, lags=following.lags
    )
    return Surroundings(
        executor=on_ray if running.executor == "ray" else InProcessExecutor(),
        watch=functools.partial(watch_sweep, notice=following.notice) if running.shown else None,
        follow=following.follow,
        tell=warn,
    )
