"""What several commands share."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from ubn_sweep.commands.bars import working
from ubn_sweep.commands.live import prose, say, warn
from ubn_sweep.records.events import SweepStarted
from ubn_sweep.records.folder import SweepFolder, default_home
from ubn_sweep.records.journal import stream
from ubn_sweep.records.trials import Trials
from ubn_sweep.sweep.running.copies import put_into_storage, put_onto_parent_run, tracking_uri
from ubn_sweep.sweep.running.launch import recorded_spec, spec_events
from ubn_sweep.sweep.spec.spec import SweepSpec
from ubn_sweep.tracking.mlflow.runs import trial_pages

if TYPE_CHECKING:
    from ubn_sweep.landscape import LandscapeReport


def home_folder(home: Path | None) -> Path:
    return home.resolve() if home is not None else default_home()


def spec_of(folder: SweepFolder) -> SweepSpec:
    return recorded_spec(spec_events(folder))


def map_sweep(folder: SweepFolder, spec: SweepSpec) -> LandscapeReport:
    from ubn_sweep.landscape import build_report

    with working("the report") as at:
        report = build_report(folder, pages=_pages(folder, spec), at=at)
        at("putting it onto the sweep's MLflow run")
        why_not = put_onto_parent_run(
            folder, spec, [report.html, report.observations, report.numbers, folder.figures]
        )
        not_stored = put_into_storage(folder, spec)
    if not_stored is not None:
        warn(
            f"the report is not in the storage ({not_stored}): `ubn-sweep sync {folder.typed}` puts it there"
        )
    if why_not is not None:
        warn(f"the report is not on the sweep's MLflow run ({why_not})")
    return report


def _pages(folder: SweepFolder, spec: SweepSpec) -> dict[int, str]:
    """Trial -> its page on the sweep's MLflow server; none where the store is a database, or cannot be asked."""
    uri = tracking_uri(spec, folder)
    if not uri.startswith(("http:", "https:")):
        return {}
    with contextlib.suppress(Exception):
        started = Trials(stream(folder.path, kinds=(SweepStarted,))).started
        return trial_pages(uri, started.sweep_id, experiment=spec.tracking.experiment)
    return {}


def tell_landscape(report: LandscapeReport) -> None:
    for sentence in report.summary:
        prose(sentence)
    say(f"report    {report.html}")
    say(f"table     {report.observations}")
