"""`fetch`: a sweep comes home from its storage."""

from __future__ import annotations

import shlex
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from ubn_sweep.commands.bars import working
from ubn_sweep.commands.common import home_folder
from ubn_sweep.commands.handing import take_over
from ubn_sweep.commands.live import print_json, say
from ubn_sweep.commands.looking import facts_of
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.storage import check_place
from ubn_sweep.sweep.running.lock import sweep_lock
from ubn_sweep.sweep.running.ray.jobs import JobServer
from ubn_sweep.sweep.spec.spec import check_name
from ubn_sweep.tracking.storage import fetch_sweep, name_at


def fetch_from_job(name: str, *, address: str, home: Path | None, as_json: bool) -> None:
    """Brings records and results of a sweep that was sent to a cluster: from its storage, or through its job server.

    Raises:
        UserError: as fetch; there is no such job.
    """
    server = JobServer(address)
    job = server.find(name)
    if job.storage is not None:
        fetch(job.storage, home=home, as_json=as_json)
        return
    check_name(job.sweep)
    folder = SweepFolder(home=home_folder(home), name=job.sweep)
    command = ["hand-over", job.sweep, *(["--home", job.home] if job.home else [])]
    with working(f"fetching {folder.name}"):
        log = server.errand(f"python -m ubn_sweep {shlex.join(command)}")
        with _alone(folder):
            take_over(log, folder)
    _tell(folder, as_json=as_json)


def fetch(url: str, *, home: Path | None, as_json: bool) -> None:
    """Brings records and results; `resume` goes on from the checkpoints, which stay.

    Raises:
        UserError: there is no sweep, another one of this name is here, or it runs here.
    """
    check_place(url, "fetch")
    check_name(name_at(url))
    folder = SweepFolder(home=home_folder(home), name=name_at(url))
    with working(f"fetching {folder.name}"), _alone(folder):
        fetch_sweep(url, folder)
    _tell(folder, as_json=as_json)


def _alone(folder: SweepFolder) -> AbstractContextManager[object]:
    """No process runs a sweep that is here already."""
    return sweep_lock(folder) if folder.path.exists() else nullcontext()


def _tell(folder: SweepFolder, *, as_json: bool) -> None:
    facts = facts_of(folder)
    if as_json:
        print_json({**facts, "folder": str(folder.path)})
        return
    say((facts["sweep"], "bold"), f": {facts['ended']}/{facts['total']} trials, in {folder.path}")
    if folder.report.exists():
        say(f"report    {folder.report}")
    if facts["state"] not in ("finished", "running"):
        say("next: ", (f"ubn-sweep resume {folder.typed}", "bold"))
