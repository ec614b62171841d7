"""`run` and `resume`."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ubn_sweep.commands.common import home_folder, tell_landscape
from ubn_sweep.commands.live import print_json, prose, say, warn
from ubn_sweep.commands.looking import best_of, front_of
from ubn_sweep.commands.operations import Running, go_on, start
from ubn_sweep.commands.outcome import Outcome
from ubn_sweep.commands.trials_table import score
from ubn_sweep.errors import InterruptedSweepError, NothingFoundError
from ubn_sweep.masking import masked
from ubn_sweep.records.folder import SweepFolder, find_sweep
from ubn_sweep.sweep.explaining.describe import show
from ubn_sweep.sweep.running.copies import written_uri
from ubn_sweep.sweep.running.launch import SweepResult
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
    outcome = start(
        load_spec(spec_path, assignments),
        home=home_folder(home),
        name=name,
        or_resume=or_resume,
        learn_from=learn_from,
        running=Running(**running),
    )
    _finish(outcome, as_json=as_json)


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
    outcome = go_on(folder, retry_failed=retry_failed, assignments=assignments, running=Running(**running))
    _finish(outcome, as_json=as_json)


def _finish(outcome: Outcome, *, as_json: bool) -> None:
    result, report = outcome.result, outcome.report
    if report is None:
        raise _ended_early(result)
    folder = SweepFolder(home=result.folder.parent, name=result.sweep)
    uri = masked(written_uri(result.spec, folder))
    if as_json:
        print_json(
            {
                "sweep": result.sweep,
                "trials": result.counts,
                "best": best_of(folder),
                **({"front": front_of(folder)} if result.front else {}),
                "ended_by": result.ended_by,
                "error": outcome.failure,
                "tracking_uri": uri,
                "report": str(report.html),
                "observations": str(report.observations),
            }
        )
    else:
        _tell(result, result.spec, report, uri)
    if outcome.failure is not None:
        raise NothingFoundError(outcome.failure)
    if outcome.first_failure is not None:
        warn(outcome.first_failure)


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
        by = f"by {spec.metric.label} alone, " if result.front else ""
        prose(f"best: {by}{score(result.best, spec)} in trial {result.best.number} ({params})")
    tell_landscape(report)
    if spec.resources.keep_best > 0:
        say(f"best      {result.folder / 'best'} (final checkpoints)")
    say(f"MLflow    {uri}")
    if result.best is not None:
        say(
            "next: ",
            (f"ubn-sweep export {result.typed}{'' if result.front else ' --top 3'} --out configs", "bold"),
            ", ",
            (f"ubn-sweep ui {result.typed}", "bold"),
        )
