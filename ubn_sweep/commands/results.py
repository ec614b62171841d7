"""`landscape`, `export`, `sync` and `ui`: what a sweep found."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ubn_sweep.commands.bars import working
from ubn_sweep.commands.common import home_folder, map_sweep, spec_of, tell_landscape
from ubn_sweep.commands.final_copies import deliver_final, final_of
from ubn_sweep.commands.live import print_json, say
from ubn_sweep.commands.operations import export
from ubn_sweep.commands.reading import tables_of
from ubn_sweep.errors import UserError
from ubn_sweep.records.folder import FinalFolder, SweepFolder, find_sweep
from ubn_sweep.records.journal import JOURNAL_FILE
from ubn_sweep.records.observations import origin_of
from ubn_sweep.sweep.running.abandoned import close_if_abandoned
from ubn_sweep.sweep.running.copies import deliver_all
from ubn_sweep.sweep.running.copies import tracking_uri as uri_of
from ubn_sweep.sweep.spec.spec import SweepSpec

if TYPE_CHECKING:
    from ubn_sweep.landscape import LandscapeReport


def map_landscape(
    sweeps: Sequence[str],
    *,
    from_mlflow: str | None,
    out: Path | None,
    home: Path | None,
    as_json: bool,
) -> None:
    """Maps a sweep, running or finished, and puts the report onto its parent run; or several as one landscape.

    Raises:
        UserError: there is no such sweep, or what is named cannot be together.
    """
    if from_mlflow is None and len(sweeps) == 1 and out is None:
        folder = find_sweep(sweeps[0], home_folder(home))
        report, name = map_sweep(folder, spec_of(folder)), folder.name
    else:
        report, name = _map_tables(sweeps, from_mlflow, out, home_folder(home))
    if as_json:
        print_json({"sweep": name, "report": str(report.html), "observations": str(report.observations)})
        return
    tell_landscape(report)


def _map_tables(
    sweeps: Sequence[str], from_mlflow: str | None, out: Path | None, home: Path
) -> tuple[LandscapeReport, str]:
    from ubn_sweep.landscape.joining import joined
    from ubn_sweep.landscape.report import report_of

    with working("the report") as at:
        at("reading the sweeps")
        table = joined(tables_of(sweeps, from_mlflow=from_mlflow, home=home))
        name = origin_of(table).sweep
        place = home / name.replace(" ", "") if out is None else out.absolute()
        if (place / JOURNAL_FILE).exists():
            raise UserError(
                f"{place} is the folder of a sweep, whose own report lies there: name another one by --out"
            )
        return report_of(table, SweepFolder(home=place.parent, name=place.name), at=at), name


def export_best(sweep: str, *, top: int | None, out: Path, home: Path | None, as_json: bool) -> None:
    """Writes the best configs."""
    paths = export(find_sweep(sweep, home_folder(home)), top=top, out=out)
    if as_json:
        print_json({"configs": [str(path) for path in paths]})
        return
    for path in paths:
        say(f"wrote {path}")
    say("next: ", (f"ubn-sweep train {paths[0]}", "bold"))


def sync_sweep(
    sweep: str, *, tracking_uri: str | None, from_start: bool, home: Path | None, as_json: bool
) -> None:
    """Delivers what has not arrived, of a sweep or of a final training's folder."""
    place = home_folder(home)
    folder = find_sweep(sweep, place)
    final = final_of(folder.path)
    if final is not None:
        delivered = deliver_final(
            FinalFolder(folder=folder.path), final, to=tracking_uri, from_start=from_start, home=place
        )
    else:
        close_if_abandoned(folder)
        with working("sync") as at:
            delivered = deliver_all(folder, spec_of(folder), to=tracking_uri, from_start=from_start, at=at)
    if as_json:
        print_json({"sweep": folder.name, "delivered": delivered})
        return
    for store, count in delivered.items():
        say(f"{store}: {count} records delivered")


def open_ui(sweep: str | None, *, port: int, home: Path | None) -> None:
    """Serves MLflow's UI on localhost until it is interrupted."""
    from ubn_sweep.tracking.mlflow.ui import serve_ui
    from ubn_sweep.tracking.mlflow.view import SweepPage

    place = home_folder(home)
    if sweep is not None:
        folder = find_sweep(sweep, place)
        spec = spec_of(folder)
        _catch_up(folder, spec)
        page = SweepPage(
            sweep=folder.name,
            objective=spec.objective.metric,
            maximized=spec.objective.mode == "max",
            second=None if spec.objective.second is None else spec.objective.second.metric,
            keys=tuple(spec.space),
        )
        serve_ui(uri_of(spec, folder), port=port, page=page, experiment=spec.tracking.experiment)
        return
    if not (place / "mlflow.db").exists():  # final trainings keep their runs there too
        raise UserError(f"there is no sweep in {place} yet: start one with `ubn-sweep run SPEC`")
    serve_ui(SweepFolder(home=place, name="").default_tracking_uri, port=port)


def _catch_up(folder: SweepFolder, spec: SweepSpec) -> None:
    """A sweep that was killed shows as such before anybody looks. A store that does not take it is told by `sync`."""
    if close_if_abandoned(folder):
        with contextlib.suppress(UserError):
            deliver_all(folder, spec)
